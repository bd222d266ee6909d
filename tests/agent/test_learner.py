from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from agent import checkpoint
from agent.device import HOST
from agent.encoder import EncoderError, build_encoder
from agent.learner import LOOK_EVERY, Diverged, Learner, Observation
from tests.learners import new_learner, observation, observations, small_config, weights_of

STREAM = observations(1, 65)
BY_SHA = {o.sha256: o for o in STREAM}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures this small are not worth a second one, which only waits for its core where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def recall(shas: Sequence[str]) -> list[Observation]:
    return [BY_SHA[sha] for sha in shas]


def learn(learner: Learner, start: int, stop: int, updates: int = 2) -> list[float]:
    return [
        step.loss for first in range(start, stop, 8) for step in learner.observe(STREAM[first : first + 8], updates)
    ]


def test_learning_lowers_the_loss() -> None:
    learner = new_learner(small_config(learner={"lr": 3e-3}))
    losses = learn(learner, 0, 64, updates=20)
    assert len(losses) == 160
    # From the second batch on all steps are of 16 pictures, so their losses compare; 0.69 to 0.78 with three seeds.
    assert sum(losses[-20:]) < 0.9 * sum(losses[20:40])


def test_a_first_batch_without_memory_and_a_last_one_that_is_short() -> None:
    learner = new_learner()
    (step,) = learner.observe(STREAM[:8], 1)
    assert step.views == 16
    assert step.align_loss == 0
    (step,) = learner.observe(STREAM[8:11], 1)
    assert step.views == 2 * (3 + 8)
    assert step.align_loss < 0


def test_a_single_picture_has_nothing_to_be_told_from() -> None:
    learner = new_learner()
    assert learner.observe(STREAM[:1], 2) == []
    assert learner.learned_through == 1
    (step,) = learner.observe(STREAM[1:2], 1)
    assert step.views == 4
    assert learner.observe([], 3) == []


def test_what_it_costs_is_known_before() -> None:
    learner = new_learner()
    for start in range(0, 32, 8):
        expected = learner.views_per_update(8)
        assert {step.views for step in learner.observe(STREAM[start : start + 8], 2)} == {expected}


def test_near_duplicates_are_not_learned_from() -> None:
    learner = new_learner(small_config(replay={"near_duplicate": 0.98}))
    batch = STREAM[:8]
    learner.observe(batch, 1)
    copies = [Observation(100 + i, f"copy {i}", o.pixels_CHW, o.innate_D) for i, o in enumerate(batch)]
    assert learner.observe(copies, 4) == []
    assert learner.repeats() == {o.sha256: 1 for o in batch}
    assert len(learner.observe([*copies[:4], *STREAM[8:12]], 4)) == 2


def test_frames_of_a_burst_are_nobodys_negatives() -> None:
    """Three views of kinds that the born network tells apart, taken within a second; the rest a minute apart."""

    def repelling(burst_s: float) -> list[tuple[int, int]]:
        learner = new_learner(small_config(learner={"burst_s": burst_s, "near_copy": 1.0}))
        taken = [replace(o, source="door", taken_s=60.0 * i) for i, o in enumerate(STREAM[:8])]
        taken[3:6] = [replace(o, taken_s=180 + 0.4 * i) for i, o in enumerate(taken[3:6])]
        never = learner._never_negative(learner._replay.collect(taken))
        return [(i, j) for i, j in never.nonzero().tolist() if i < j]

    assert repelling(3.0) == [(3, 4), (3, 5), (4, 5)]
    assert repelling(0.0) == []


def test_rehearsal_uses_memory_alone() -> None:
    learner = new_learner()
    assert learner.rehearse() == []
    learner.observe(STREAM[:8], 1)
    (step,) = learner.rehearse()
    assert step.views == 16


def test_the_teacher_is_the_moving_average_of_the_student() -> None:
    learner = new_learner(small_config(learner={"teacher_decay": 0.75}))
    born = weights_of(learner.teacher)
    learner.observe(STREAM[:8], 1)
    for name, teacher in learner.teacher.named_parameters():
        student = learner._student.tail.get_parameter(name)
        torch.testing.assert_close(teacher, 0.75 * born[name] + 0.25 * student.detach())


def test_the_born_network_is_left_as_it_was() -> None:
    config = small_config()
    encoder = build_encoder(config.encoder, config.seed)
    before = weights_of(encoder)
    learn(Learner(config, encoder, HOST), 0, 32)
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_protection_starts_at_the_born_network() -> None:
    learner = new_learner()
    born = weights_of(learner.teacher)
    learn(learner, 0, 32)
    assert ("consolidated", {"reason": "birth", "consolidations": 1}) in learner.happenings
    anchor = learner._consolidation.ewc.state_dict()
    assert all(torch.equal(anchor[f"anchor.{name}"], p) for name, p in born.items())


def test_protection_keeps_the_student_near_its_anchor() -> None:
    def distance(strength: float) -> float:
        learner = new_learner(small_config(ewc={"strength": strength}, learner={"lr": 1e-3}))
        born = weights_of(learner.teacher)
        learn(learner, 0, 32, updates=4)
        return sum(float((p.detach() - born[n]).square().sum()) for n, p in learner._student.tail.named_parameters())

    assert distance(strength=1000.0) < 0.8 * distance(strength=0.0)


def test_consolidation_by_the_timer() -> None:
    learner = new_learner(small_config(ewc={"every_pictures": 16}))
    learn(learner, 0, 64, updates=1)
    assert [detail["reason"] for kind, detail in learner.happenings if kind == "consolidated"][:2] == ["birth", "timer"]


def test_a_network_that_knows_nothing_at_birth_is_not_held_there() -> None:
    learner = new_learner(small_config(ewc={"every_pictures": 16, "from_birth": False}))
    learn(learner, 0, 64, updates=1)
    assert [detail["reason"] for kind, detail in learner.happenings if kind == "consolidated"][:1] == ["timer"]


def test_a_shift_is_noticed_and_what_was_before_it_is_protected() -> None:
    learner = new_learner(small_config(replay={"capacity": 64}))
    learner._consolidation.alarm.patience = 100
    learner._consolidation.alarm.threshold = 10
    known = [observation(4 * n) for n in range(1, 200)]
    strange = [observation(4 * n + 1 + n % 3) for n in range(200, 230)]
    for start in range(0, len(known), 10):
        learner.observe(known[start : start + 10], 0)
    before = weights_of(learner._consolidation.snapshot)
    learner.observe(strange, 1)
    anchor = learner._consolidation.ewc.state_dict()
    assert learner._consolidation.ewc.consolidations == 2, learner.happenings
    assert all(torch.equal(anchor[f"anchor.{name}"], p) for name, p in before.items())


def test_what_was_noticed_waits_in_the_checkpoint_until_somebody_takes_note(tmp_path: Path) -> None:
    first, second = new_learner(), new_learner()
    learn(first, 0, 32, updates=0)
    assert [kind for kind, _ in first.happenings] == ["consolidated"]
    tensors, meta = first.state_dict()
    loaded = checkpoint.load(checkpoint.save(tmp_path, "x", tensors, meta))
    second.load_state_dict(loaded.tensors, loaded.meta, recall)
    assert second.happenings == first.happenings


def test_it_can_be_stopped_between_updates_and_says_how_many_it_left() -> None:
    learner = new_learner()
    looks = iter([False, False, True])
    assert len(learner.observe(STREAM[:8], 5, stop=lambda: next(looks))) == 2
    assert learner.unmade == 3
    assert learner.learned_through == 8
    assert set(learner.remembered()) == {o.sha256 for o in STREAM[:8]}
    assert len(learner.observe(STREAM[8:16], 2)) == 2
    assert learner.unmade == 0


def test_drift_starts_at_nought_grows_and_starts_again_when_published() -> None:
    learner = new_learner(small_config(learner={"lr": 1e-3, "teacher_decay": 0.5}))
    learner.observe(STREAM[:8], 0)
    assert learner.drift() == pytest.approx(0, abs=1e-5)
    assert not learner.unpublished
    learn(learner, 8, 40)
    assert learner.drift() > 1e-3
    assert learner.unpublished
    learner.mark_published()
    assert learner.drift() == pytest.approx(0, abs=1e-5)
    assert not learner.unpublished


def poison(learner: Learner) -> None:
    with torch.no_grad():
        next(learner._student.objective.parameters()).fill_(math.nan)


def test_three_bad_steps_in_a_row_are_divergence_and_none_is_taken() -> None:
    learner = new_learner()
    learner.observe(STREAM[:8], 1)
    poison(learner)
    before = weights_of(learner._student.tail)
    assert learner.rehearse(2) == []
    assert all(torch.equal(before[n], t) for n, t in learner._student.tail.state_dict().items())
    with pytest.raises(Diverged, match="3 times in a row"):
        learner.rehearse()


def test_a_single_bad_step_is_skipped() -> None:
    learner = new_learner()
    learner.observe(STREAM[:8], 1)
    head = weights_of(learner._student.objective)
    for _ in range(4):
        poison(learner)
        assert learner.rehearse(2) == []
        learner._student.objective.load_state_dict(head)
        assert len(learner.rehearse(1)) == 1


def everything(learner: Learner) -> dict[str, Tensor]:
    return learner.state_dict()[0]


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_going_on_from_a_checkpoint_is_the_same_to_the_last_bit(tmp_path: Path, objective: str) -> None:
    config = small_config(learner={"objective": objective})
    first = new_learner(config)
    learn(first, 0, 32)
    tensors, meta = first.state_dict()
    loaded = checkpoint.load(checkpoint.save(tmp_path, "x", tensors, meta))
    second = new_learner(config)
    second.load_state_dict(loaded.tensors, loaded.meta, recall)
    assert (second.steps, second.learned_through, second.unpublished) == (first.steps, 32, True)
    assert learn(first, 32, 64) == learn(second, 32, 64)
    ours, theirs = everything(first), everything(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert first.drift() == pytest.approx(second.drift(), abs=1e-6)


@pytest.mark.parametrize("other", [{"head_dims": (16, 8)}, {"objective": "byol"}])
def test_other_heads_start_anew_on_an_encoder_that_goes_on(other: dict[str, object]) -> None:
    first, same, second = new_learner(), new_learner(), new_learner(small_config(learner=other))
    learn(first, 0, 16)
    assert same.load_state_dict(*first.state_dict(), recall)
    assert not second.load_state_dict(*first.state_dict(), recall)
    student = weights_of(first._student.tail)
    assert all(torch.equal(student[name], t) for name, t in second._student.tail.state_dict().items())
    assert len(learn(second, 16, 32)) == 4


def test_what_was_learned_by_another_network_is_refused() -> None:
    learner = new_learner()
    tensors, meta = learner.state_dict()
    fewer = {key: tensor for key, tensor in tensors.items() if not key.startswith("student/teacher/stages.0")}
    with pytest.raises(EncoderError, match="encoder.trained_blocks"):
        new_learner().load_state_dict(fewer, meta, recall)


def test_a_checkpoint_before_the_first_step() -> None:
    first, second = new_learner(), new_learner()
    second.load_state_dict(*first.state_dict(), recall)
    assert learn(first, 0, 16) == learn(second, 0, 16)


def test_the_same_seed_learns_the_same() -> None:
    assert learn(new_learner(), 0, 32) == learn(new_learner(), 0, 32)
    assert learn(new_learner(), 0, 32) != learn(new_learner(small_config().model_copy(update={"seed": 1})), 0, 32)


def test_forgotten_pictures_are_neither_replayed_nor_probed() -> None:
    learner = new_learner()
    learn(learner, 0, 24)
    gone = [o.sha256 for o in STREAM[:20]]
    learner.forget(gone)
    _, meta = learner.state_dict()
    named = {*meta["probes"], *meta["replay"]["recent"], *meta["replay"]["reservoir"]}
    assert named
    assert not named & set(gone)


def whole_life(learner: Learner) -> None:
    """Everything that touches the device: steps, Fisher information, probes, publishing."""
    for start in range(0, 32, 8):
        learner.observe(STREAM[start : start + 8], 1)
    assert learner._consolidation.ewc.anchored
    learner.rehearse()
    learner.drift()
    learner.mark_published()
    assert learner.steps == 5


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_a_whole_step_on_a_device_that_is_not_the_host(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    """On `meta` every operation checks devices and shapes, and nothing can be read back."""
    for module in ("agent.device", "agent.learner"):
        monkeypatch.setattr(f"{module}.send_home", lambda scalars: lambda: [0.5] * len(scalars))
    config, elsewhere = small_config(learner={"objective": objective}), torch.device("meta")
    learner = Learner(config, build_encoder(config.encoder, 0).to(elsewhere), elsewhere)
    whole_life(learner)
    assert {p.device for p in learner.teacher.parameters()} == {elsewhere}


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_no_tensor_is_made_on_the_default_device(objective: str) -> None:
    config = small_config(learner={"objective": objective})
    encoder = build_encoder(config.encoder, 0)
    with torch.device("meta"):
        learner = Learner(config, encoder, HOST)
        whole_life(learner)
    assert {p.device for p in learner.teacher.parameters()} == {HOST}


def test_embedding_alone_never_imports_avalanche() -> None:
    script = "import sys, agent.encoder, agent.embedder; sys.exit('avalanche' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_it_is_sound_while_steps_are_finite_and_so_is_what_the_teacher_sees() -> None:
    learner = new_learner()
    assert learner.sound
    learner.observe(STREAM[:8], 1)
    assert learner.sound
    head = weights_of(learner._student.objective)
    poison(learner)
    learner.rehearse(1)
    assert not learner.sound
    learner._student.objective.load_state_dict(head)
    learner.rehearse(1)
    assert learner.sound
    with torch.no_grad():
        next(learner.teacher.parameters()).fill_(math.nan)
    learner.rehearse(1)
    assert not learner.sound


def test_drift_is_measured_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = new_learner()
    learner.observe(STREAM[:8], 1)
    asked: list[object] = []
    drift_of = learner._probes.drift_of

    def noted(teacher: torch.nn.Module) -> Tensor | None:
        asked.append(teacher)
        return drift_of(teacher)

    monkeypatch.setattr(learner._probes, "drift_of", noted)
    before = [learner.drift() for _ in range(5)]
    assert len(asked) <= 1
    learner.rehearse(1)
    after = [learner.drift() for _ in range(5)]
    assert len(asked) <= 2
    assert len({*before}) == len({*after}) == 1
    assert before[0] != after[0]


def test_whether_it_has_drifted_is_looked_at_every_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = new_learner(small_config(learner={"lr": 1e-3, "teacher_decay": 0.5}))
    learner.observe(STREAM[:8], 1)
    learner.mark_published()
    assert not learner.drifted(beyond=1e-9)
    looks: list[int] = []
    drift_of = learner._probes.drift_of

    def noted(teacher: torch.nn.Module) -> Tensor | None:
        looks.append(learner.steps)
        return drift_of(teacher)

    monkeypatch.setattr(learner._probes, "drift_of", noted)
    told = []
    for _ in range(3 * LOOK_EVERY):
        learner.rehearse(1)
        told.append(learner.drifted(beyond=1e-9))
    assert told == [False] * (LOOK_EVERY - 1) + [True] * (2 * LOOK_EVERY + 1)
    assert len(looks) == 3
    assert not learner.drifted(beyond=1.0)
