from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from agent import checkpoint, device
from agent.config import Config
from agent.device import HOST, DeviceError, autocast, host_values, resolve_device, send_home, upload
from agent.embedder import Embedder, Vectors
from agent.encoder import Encoder, build_encoder, square, training_px
from agent.learner import MEASURE_EVERY, Learner
from agent.replay import Observation
from agent.split import split
from tests.learners import bundled_encoder, observations, picture, small_config

AGENT = Path(device.__file__).parent
PICTURES = [picture(number) for number in range(3)]


def test_auto_is_a_device_that_computes() -> None:
    assert float(torch.ones(2, device=resolve_device("auto")).sum()) == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(DeviceError, match=f"{name}.*set device"):
        resolve_device(name)


def test_no_autocast_on_the_host() -> None:
    with autocast(device.HOST):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_scalars_come_over_in_order() -> None:
    assert host_values([torch.tensor(1.5), torch.tensor(2, dtype=torch.int64)]) == [1.5, 2.0]


def test_scalars_that_are_sent_home_are_those_of_then() -> None:
    loss = torch.tensor(1.5)
    values = send_home([loss])
    loss += 1
    assert values() == [1.5]


def test_upload_goes_where_it_is_told() -> None:
    assert upload(torch.ones(2), torch.device("meta")).device.type == "meta"


def test_device_names_are_written_in_one_module_only() -> None:
    offenders = [
        f"{path.name}:{node.lineno}"
        for path in AGENT.glob("*.py")
        if path.name != "device.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("cpu", "cuda", "mps", "cuda:0")
    ]
    assert offenders == []


# -------------------------------------------------------------------- all that computes, elsewhere


def stream_for(encoder: Encoder) -> list[Observation]:
    side_px = training_px(encoder.image_px)
    return [
        replace(o, pixels_CHW=square(picture(o.picture_id), side_px), innate_D=np.resize(o.innate_D, encoder.dim))
        for o in observations(1, 65)
    ]


def whole_life(config: Config, encoder: Encoder, place: torch.device) -> tuple[Learner, Embedder]:
    """Steps, a consolidation at birth and one by the timer, drift, publication, vectors, state and its recall."""
    learner, stream = Learner(config, encoder, place), stream_for(encoder)
    for start in range(0, 48, 8):
        learner.observe(stream[start : start + 8], 2)
    assert learner._consolidation.ewc.consolidations == 2
    learner.rehearse()
    learner.drift()
    embedder = Embedder(encoder, {}, place)
    embedder.add_tail(2, copy.deepcopy(learner.teacher))
    learner.mark_published()
    embedder.embed(PICTURES)
    learner.forget([stream[0].sha256])
    learner.observe(stream[48:], 1)

    again = Learner(config, encoder, place)
    by_sha = {o.sha256: o for o in stream}
    again.load_state_dict(*learner.state_dict(), lambda shas: [by_sha[sha] for sha in shas])
    again.drift()
    assert again.steps == learner.steps
    return again, embedder


def consolidating(objective: str) -> Config:
    return small_config(ewc={"every_pictures": 24, "fisher_samples": 8}, learner={"objective": objective})


def with_frozen_stages(encoder: Encoder) -> Encoder:
    """Cut after a convolution, whose output autocast leaves in half precision."""
    probe = torch.rand(1, 3, encoder.image_px, encoder.image_px, generator=torch.Generator().manual_seed(0))
    trunk, tail = split(encoder.new_tail(), 5, probe)
    assert isinstance(list(trunk.modules())[-1], torch.nn.Conv2d)
    return Encoder(torch.nn.Sequential(encoder.trunk, trunk), tail, encoder.dim, encoder.image_px)


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_nothing_computes_on_the_host_when_told_to_compute_elsewhere(
    objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On `meta` every operation checks devices and shapes, and nothing can be read back."""
    for module in ("agent.device", "agent.learner"):
        monkeypatch.setattr(f"{module}.send_home", lambda scalars: lambda: [0.5] * len(scalars))
    monkeypatch.setattr("agent.embedder._half", lambda x_ND: x_ND.half())
    config, elsewhere = consolidating(objective), torch.device("meta")
    learner, _ = whole_life(config, build_encoder(config.encoder, 0).to(elsewhere), elsewhere)
    tensors = {name: t for name, t in learner.state_dict()[0].items() if not name.startswith(("replay/", "chance/"))}
    assert {t.device for t in tensors.values()} == {elsewhere}


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_everything_computes_where_it_is_told_whatever_the_default_device(objective: str, tmp_path: Path) -> None:
    config = consolidating(objective)
    encoder = build_encoder(config.encoder, 0)
    with torch.device("meta"):
        learner, embedder = whole_life(config, encoder, HOST)
        learner.rehearse()
        tensors, meta = learner.state_dict()
        saved = checkpoint.load(checkpoint.save(tmp_path, "learner-1", tensors, meta))
        innate_ND, learned = embedder.embed(PICTURES)
    assert {t.device for t in saved.tensors.values()} == {HOST}
    assert all(torch.equal(saved.tensors[name], tensor) for name, tensor in tensors.items())
    assert not np.array_equal(innate_ND, learned[2])


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_everything_computes_in_half_precision(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA: what the trunk hands on is bfloat16 and weights stay float32."""

    def half(_: torch.device) -> AbstractContextManager[object]:
        return torch.autocast(HOST.type, dtype=torch.bfloat16)

    for name in [n for n, module in sys.modules.items() if n.startswith("agent.") and hasattr(module, "autocast")]:
        monkeypatch.setattr(f"{name}.autocast", half)
    config = consolidating(objective)
    learner, embedder = whole_life(config, with_frozen_stages(build_encoder(config.encoder, 0)), HOST)
    learner.rehearse()
    innate_ND, learned = embedder.embed(PICTURES)
    assert np.isfinite(innate_ND).all()
    assert np.isfinite(learned[2]).all()
    assert {parameter.dtype for parameter in learner.teacher.parameters()} == {torch.float32}


def test_views_are_moved_to_their_device_without_waiting() -> None:
    """A plain `.to(device)` from the host waits for all that the device still has to do."""
    calls = [n for n in ast.walk(ast.parse((AGENT / "augment.py").read_text())) if isinstance(n, ast.Call)]
    assert [n.lineno for n in calls if isinstance(n.func, ast.Attribute) and n.func.attr in ("to", "cuda")] == []


# -------------------------------------------------------------------- on CUDA, where there is one


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: torch.cuda.is_available() is false")
    return torch.device("cuda")


def test_auto_picks_cuda_where_there_is_one(cuda: torch.device) -> None:
    assert resolve_device("auto") == cuda


@pytest.mark.parametrize("objective", ["simclr", "byol"])
def test_a_whole_life_on_cuda(objective: str, cuda: torch.device) -> None:
    """Steps, consolidation, publication and vectors, in half precision."""
    config = consolidating(objective)
    learner, embedder = whole_life(config, with_frozen_stages(build_encoder(config.encoder, 0)).to(cuda), cuda)
    steps = learner.rehearse(3)
    assert len(steps) == 3
    assert all(np.isfinite([step.loss, step.align_loss, step.grad_norm, step.drift]).all() for step in steps)
    assert {(p.device.type, p.dtype) for p in learner.teacher.parameters()} == {(cuda.type, torch.float32)}
    innate_ND, learned = embedder.embed(PICTURES)
    assert np.isfinite(innate_ND).all()
    assert np.isfinite(learned[2]).all()
    assert not np.array_equal(innate_ND, learned[2])


def test_what_was_learned_on_cuda_goes_on_upon_the_host(cuda: torch.device, tmp_path: Path) -> None:
    config = consolidating("simclr")
    learner, _ = whole_life(config, build_encoder(config.encoder, 0).to(cuda), cuda)
    saved = checkpoint.load(checkpoint.save(tmp_path, "learner-1", *learner.state_dict()))
    encoder = build_encoder(config.encoder, 0)
    by_sha = {o.sha256: o for o in stream_for(encoder)}
    here = Learner(config, encoder, HOST)
    here.load_state_dict(saved.tensors, saved.meta, lambda shas: [by_sha[sha] for sha in shas])
    assert here.steps == learner.steps
    assert len(here.rehearse()) == 1


def test_a_step_waits_for_cuda_in_one_place_only(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA itself raises where something waits that is not what `send_home` returned."""
    waits = 0

    def counted(scalars: Sequence[torch.Tensor]) -> Callable[[], list[float]]:
        values = send_home(scalars)

        def wait() -> list[float]:
            nonlocal waits
            waits += 1
            before = torch.cuda.get_sync_debug_mode()
            torch.cuda.set_sync_debug_mode("default")
            numbers = values()
            torch.cuda.set_sync_debug_mode(before)
            return numbers

        return wait

    for module in ("agent.device", "agent.learner"):
        monkeypatch.setattr(f"{module}.send_home", counted)
    config = consolidating("simclr")
    encoder = build_encoder(config.encoder, 0).to(cuda)
    learner, stream = Learner(config, encoder, cuda), stream_for(encoder)
    for start in range(0, 40, 8):
        learner.observe(stream[start : start + 8], 2)
    assert learner.steps % MEASURE_EVERY != 0
    waits = 0
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps = learner.observe(stream[40:48], 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (len(steps), waits) == (2, 2)


def test_cuda_sees_what_the_host_sees(cuda: torch.device) -> None:
    encoder = bundled_encoder()
    there, _ = Embedder(encoder, {}, cuda).embed(PICTURES)
    here, _ = Embedder(encoder, {}, HOST).embed(PICTURES)
    cosines = (unit(there) * unit(here)).sum(axis=1)
    assert cosines.min() > 0.999


def unit(x_ND: Vectors) -> NDArray[np.float32]:
    wide: NDArray[np.float32] = x_ND.astype(np.float32)
    length_N1: NDArray[np.float32] = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / length_N1


@pytest.mark.slow
def test_a_compiled_learner_steps_on_cuda(cuda: torch.device) -> None:
    config = small_config(learner={"compile": True})
    encoder = build_encoder(config.encoder, 0).to(cuda)
    learner = Learner(config, encoder, cuda)
    steps = learner.observe(stream_for(encoder)[:8], 2)
    assert [np.isfinite(step.loss) for step in steps] == [True, True]
