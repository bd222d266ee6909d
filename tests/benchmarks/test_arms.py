from __future__ import annotations

import pytest
from torch import Tensor

from agent.device import HOST
from agent.encoder import build_encoder
from agent.learner import Learner
from agent.settings import load_config
from benchmarks.arms import ARMS, learner_of
from tests.learners import observation, weights_of

SMALL = (
    "encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16", "learner.replay_batch=8",
    "learner.head_dims=[32, 16]", "replay.capacity=64", "replay.near_duplicate=1", "ewc.fisher_samples=8",
    "publish.probes=8",
)  # fmt: skip


def after_a_shift(arm: str) -> tuple[Learner, dict[str, Tensor]]:
    """The learner of an arm that saw one kind for long and then others, and the weights that it was born with."""
    config = load_config(None, [*SMALL, *ARMS[arm].changes], environment={})
    encoder = build_encoder(config.encoder, config.seed)
    learner = learner_of(ARMS[arm], config, encoder, HOST)
    learner._consolidation.alarm.threshold = 10
    for start in range(1, 200, 10):
        learner.observe([observation(4 * n) for n in range(start, start + 10)], 1 if start % 50 == 1 else 0)
    learner.observe([observation(4 * n + 1 + n % 3) for n in range(200, 230)], 1)
    return learner, weights_of(encoder.tail)


def test_the_default_protects_what_was_before_a_shift() -> None:
    learner, _ = after_a_shift("default")
    assert learner._consolidation.ewc.consolidations == 2


@pytest.mark.parametrize("arm", ["ewc-born", "l2-sp"])
def test_what_is_anchored_at_birth_stays_there_when_the_stream_shifts(arm: str) -> None:
    learner, born = after_a_shift(arm)
    assert learner._consolidation.ewc.consolidations == 1
    anchor = learner._consolidation.ewc.state_dict()
    assert all(bool((anchor[f"anchor.{name}"] == born[name]).all()) for name in born if f"anchor.{name}" in anchor)
    assert learner.steps > 0
