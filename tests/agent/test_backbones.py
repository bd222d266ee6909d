"""Networks other than the default: those of the configurations, with random weights, from pixels to vectors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Generator, nn

from agent.config import Config
from agent.device import HOST
from agent.embedder import Embedder
from agent.encoder import PIXELS_AT_ONCE, Encoder, build_encoder, square, training_px
from agent.learner import Learner
from agent.replay import Observation
from agent.settings import load_config
from tests.learners import bundled_encoder, observations, picture, weights_of

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
QUICK = (
    "learner.stream_batch=4", "learner.replay_batch=4", "learner.lr=1e-3", "learner.warmup_steps=0",
    "learner.teacher_decay=0", "replay.capacity=16", "ewc.fisher_samples=8",
)  # fmt: skip


@dataclass(frozen=True)
class Backbone:
    """A configuration, the least pictures that its network takes, and what it has to do with them."""

    name: str
    image_px: int
    multiple_px: int
    trained: str


BACKBONES = [
    pytest.param(Backbone("dinov2", 28, 14, r"(blocks\.1[01]\.|norm\.)"), id="dinov2"),
    pytest.param(Backbone("convnext", 32, 32, r"([012]\.)"), id="convnext"),
]


def config_of(backbone: Backbone, *overrides: str) -> Config:
    small = f"encoder.image_px={backbone.image_px}"
    return load_config(CONFIGS / f"{backbone.name}.yaml", [small, *QUICK, *overrides], environment={})


@pytest.fixture
def without_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's weights are random ones."""
    create = timm.create_model

    def create_random(name: str, *, pretrained: bool, **settings: Any) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network: nn.Module = create(name, pretrained=False, **settings)
        return network

    monkeypatch.setattr("timm.create_model", create_random)


def stream_for(encoder: Encoder) -> list[Observation]:
    side_px = training_px(encoder.image_px)
    return [
        Observation(o.picture_id, o.sha256, square(picture(o.picture_id), side_px), np.resize(o.innate_D, encoder.dim))
        for o in observations(1, 13)
    ]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_pictures_are_as_large_as_the_network_can_divide(backbone: Backbone) -> None:
    config = load_config(CONFIGS / f"{backbone.name}.yaml", environment={})
    assert config.encoder.weights == "pretrained"
    assert config.encoder.image_px % backbone.multiple_px == 0
    assert training_px(config.encoder.image_px) <= config.decode.thumbnail_px


@pytest.mark.parametrize("backbone", BACKBONES)
def test_from_random_weights_it_learns_and_embeds(backbone: Backbone) -> None:
    config = config_of(backbone, "encoder.weights=none")
    encoder = build_encoder(config.encoder, config.seed)
    learner, stream = Learner(config, encoder, HOST), stream_for(encoder)
    before = weights_of(learner.teacher)
    for start in range(0, len(stream), 4):
        steps = learner.observe(stream[start : start + 4], 1)
        assert [np.isfinite(step.loss) for step in steps] == [True]
    moved = {name for name, tensor in weights_of(learner.teacher).items() if not torch.equal(tensor, before[name])}
    assert moved == {name for name, _ in learner.teacher.named_parameters()}

    innate_ND, learned = Embedder(encoder, {2: learner.teacher}, HOST).embed([picture(number) for number in range(3)])
    assert innate_ND.shape == learned[2].shape == (3, encoder.dim)
    assert np.isfinite(innate_ND).all()
    assert not np.array_equal(innate_ND, learned[2])


@pytest.mark.usefixtures("without_hub")
@pytest.mark.parametrize("backbone", BACKBONES)
def test_of_a_pretrained_network_only_the_last_blocks_move(backbone: Backbone) -> None:
    config = config_of(backbone)
    encoder = build_encoder(config.encoder, config.seed)
    assert not any(parameter.requires_grad for parameter in encoder.trunk.parameters())
    learner, stream = Learner(config, encoder, HOST), stream_for(encoder)
    before, trunk = weights_of(learner.teacher), weights_of(encoder.trunk)
    learner.observe(stream[:8], 1)
    learner.observe(stream[8:], 1)
    assert learner._consolidation.ewc.anchored
    moved = {name for name, tensor in weights_of(learner.teacher).items() if not torch.equal(tensor, before[name])}
    trained = {name for name, parameter in encoder.tail.named_parameters() if parameter.requires_grad}
    assert moved == trained
    assert all(re.match(backbone.trained, name) for name in trained)
    assert sum(before[name].numel() for name in trained) < 0.6 * sum(p.numel() for p in encoder.parameters())
    assert all(torch.equal(tensor, trunk[name]) for name, tensor in weights_of(encoder.trunk).items())


def test_a_trunk_that_sees_a_few_pictures_at_a_time_gives_what_it_gives_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = bundled_encoder()
    at_once = PIXELS_AT_ONCE // encoder.image_px**2
    x_BCHW = torch.rand(2 * at_once + 3, 3, encoder.image_px, encoder.image_px, generator=Generator().manual_seed(0))
    x_BCHW = x_BCHW.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        in_parts = encoder.trunk(x_BCHW)
        monkeypatch.setattr("agent.encoder.PIXELS_AT_ONCE", 2**30)
        whole = encoder.trunk(x_BCHW)
    torch.testing.assert_close(in_parts, whole, atol=1e-5, rtol=1e-5)
    assert in_parts.is_contiguous(memory_format=torch.channels_last)
    assert encoder.trunk(x_BCHW[:0]).shape == (0, *whole.shape[1:])
