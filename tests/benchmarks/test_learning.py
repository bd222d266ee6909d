from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Generator

from agent.augment import augment
from agent.config import AugmentConfig, Config
from agent.device import HOST
from benchmarks import learning
from benchmarks.learning import Turn, Variant, block_of, main, ratio, study, taken, typical
from benchmarks.loops import Loop
from benchmarks.separate import augment_separately
from tests.learners import small_config

SMALL = (
    "encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16", "learner.stream_batch=4",
    "learner.replay_batch=8", "replay.capacity=16", "ewc.fisher_samples=8", "publish.probes=8",
)  # fmt: skip


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, object], str]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    assert main(["--device", "cpu", "--steps", "4", "--json", *settings, *arguments]) == 0
    printed = capsys.readouterr()
    result: dict[str, object] = json.loads(printed.out)
    return result, printed.err


def test_a_block_is_what_a_batch_of_the_stream_pays_for() -> None:
    assert block_of(Config()) == 3


def test_rare_turns_count_by_their_share() -> None:
    turns = [Turn({"one": 2.0 if i == 7 else 1.0, "other": 1.0}, measuring=i == 7) for i in range(10)]
    assert typical([turn.seconds["one"] for turn in turns], turns) == pytest.approx(1.1)
    assert ratio(turns, "one", "other") == pytest.approx(1 / 1.1, abs=1e-3)


def test_loops_take_turns_and_change_places() -> None:
    made: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def prepare(self) -> None:
            pass

        def __call__(self, steps: int) -> None:
            made.append(self.name)

    loops: dict[str, Loop] = {name: Named(name) for name in "ab"}
    assert len(taken(loops, 1, 4, HOST)) == 4
    pairs = list(zip(made[::2], made[1::2], strict=True))
    assert len(pairs) == 6
    assert all(set(pair) == {"a", "b"} for pair in pairs)
    assert all(one != other for one, other in pairwise(pairs))


def test_one_run_measures_all_and_can_be_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("lightly")
    result, _ = measured(capsys, "--out", str(tmp_path / "new" / "cpu.json"))
    kept = json.loads((tmp_path / "new" / "cpu.json").read_text())
    assert kept.pop("made_with")["settings"]["encoder.image_px"] == 16
    assert kept == result
    numbers = ("steps_per_s", "bare_steps_per_s", "lightly_steps_per_s", "ratio_bare", "ratio_lightly", "data_share")
    assert all(isinstance(result[name], float) and result[name] for name in numbers)
    assert (result["device"], result["image_px"], result["batch"]) == ("cpu", 16, [4, 8])


def test_without_lightly_the_rest_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    result, said = measured(capsys)
    assert (result["lightly_steps_per_s"], result["ratio_lightly"]) == (None, None)
    assert result["ratio_bare"]
    assert "[bench]" in said


def test_the_study_goes_on_past_what_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("torch.nn.Module.compile", refuse)
    as_it_is = Variant("image_px 16", {"image_px": 16})
    compiled, unfolded = Variant("compiled", {}, compiled=True), Variant("unfolded", {}, unfolded=True, contiguous=True)
    variants = [as_it_is, compiled, unfolded]
    (failed, _, nan), (name, per_s, times) = study(small_config(), HOST, 2, variants)
    assert (failed, math.isnan(nan)) == ("compiled", True)
    assert "no compiler" in capsys.readouterr().err
    assert (name, per_s > 0, times > 0) == ("unfolded", True, True)


def test_a_study_is_kept_with_what_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = [("image_px 64", 1.5, 2.0), ("compiled", math.nan, math.nan)]
    monkeypatch.setattr(learning, "study", lambda *_: iter(found))
    assert main(["--device", "cpu", "--study", "--out", str(tmp_path / "steps.json")]) == 0
    kept = json.loads((tmp_path / "steps.json").read_text())
    assert kept["study"] == [
        {"variant": "image_px 64", "steps_per_s": 1.5, "times_as_fast": 2.0},
        {"variant": "compiled", "steps_per_s": None, "times_as_fast": None},
    ]
    assert (kept["steps"], kept["made_with"]["device"]) == (12, "cpu")
    assert "image_px 64" in capsys.readouterr().out


def test_separate_operations_make_views_of_the_same_sort() -> None:
    chance = Generator().manual_seed(0)
    pixels = (255 * torch.rand(6, 3, 20, 20, generator=chance)).to(torch.uint8)
    before = torch.get_rng_state()
    first, second = (augment_separately(pixels, AugmentConfig(), 16, chance) for _ in range(2))
    like = augment(pixels, AugmentConfig(), 16, chance)
    assert (first.shape, first.dtype, first.stride()) == (like.shape, like.dtype, like.stride())
    assert 0 <= first.min() < first.max() <= 1
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_separate_variant_trains_from_separate_views(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[int] = []

    def told(x: torch.Tensor, config: AugmentConfig, side_px: int, chance: Generator) -> torch.Tensor:
        called.append(len(x))
        return augment(x, config, side_px, chance)

    monkeypatch.setattr(learning, "augment_separately", told)
    ((_, per_s, _),) = study(small_config(), HOST, 1, [Variant("separate augmentation", {}, separate=True)])
    assert per_s > 0
    assert len(called) == block_of(small_config()) * (1 + learning.STUDY_WARMUP)
