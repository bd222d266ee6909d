from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agent.device import HOST
from agent.encoder import build_encoder
from benchmarks.arms import ARMS
from benchmarks.datasets import load
from benchmarks.streams import stages_of
from benchmarks.trial import Trial, labelled, told_delay
from tests.learners import small_config


def learned(arm: str, **sections: dict[str, Any]) -> Trial:
    """An arm that has gone through three classes of digits, one after the other, without being examined."""
    config = small_config(cluster={"every": 24}, **sections)
    encoder = build_encoder(config.encoder, config.seed)
    stream = labelled(load("digits", 3, 16), encoder, HOST, 1)
    trial = Trial(ARMS[arm], config, stream, stream, encoder)
    for stage in stages_of(stream.label_N, "class", 3, seed=0):
        trial._learn(stage)
    return trial


@pytest.mark.parametrize("arm", ["default", "unbalanced"])
def test_the_memory_is_told_of_the_kinds_of_each_round(arm: str) -> None:
    trial = learned(arm, learner={"views_per_picture": 2})
    now = trial._discovery.assignments
    assigned_N = now.cluster_N >= 0
    kinds = {f"{p - 1:064x}": c for p, c in zip(now.picture_N.tolist(), now.cluster_N.tolist(), strict=True) if c >= 0}
    assert assigned_N.any()
    assert trial._learner._replay._kinds == (kinds if arm == "default" else {})


@pytest.mark.slow
def test_training_from_memory_publishes_what_has_drifted() -> None:
    quiet, idle = (
        learned("default", learner={"views_per_picture": 1, "idle_views_per_picture": views}, publish={"drift": 1e-5})
        for views in (0, 6)
    )
    published = [sum(one["type"] == "encoder_published" for one in trial._happenings) for trial in (quiet, idle)]
    assert idle._views > quiet._views
    assert published[1] > published[0] + 3


def test_delays_are_told_with_the_number_of_classes_that_they_are_of() -> None:
    told = told_delay({2: 40, 0: 10, 1: 20}, classes=5)
    assert told == {"discovered": 3, "classes": 5, "median": 20.0, "of": {"0": 10, "1": 20, "2": 40}}
    assert told_delay({}, classes=5)["median"] is None
    assert np.isfinite(told["median"])
