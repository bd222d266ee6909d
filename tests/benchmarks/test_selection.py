"""What is counted when choices are measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.config import ClusterConfig
from benchmarks.metrics import Agreement
from benchmarks.selection import GRID, REGRETS, by_score_alone, drawn, found, means, only, regrets
from tests.agent.shapes import blobs

GOOD = Agreement(nmi=0.8, ari=0.7, accuracy=0.6, kinds=4, classes=4, assigned=1.0)
MANY = replace(GOOD, nmi=0.9, accuracy=0.3, kinds=20)


def test_each_arm_falls_short_of_the_best_by_each_measure() -> None:
    told = regrets({"chosen": GOOD, "fixed": MANY}, [GOOD, MANY])
    assert told == pytest.approx({
        "regret_chosen": 0.1, "regret_fixed": 0, "accuracy_regret_chosen": 0, "accuracy_regret_fixed": 0.3,
    })  # fmt: skip


def test_each_set_counts_the_same() -> None:
    runs = [{"set": name, **dict.fromkeys(REGRETS, value)} for name, value in [("a", 0.0), ("a", 0.2), ("b", 0.5)]]
    assert set(means(runs).values()) == {0.3}


def test_a_choice_that_is_made_again_sees_all_pictures() -> None:
    points, truth = blobs([60, 50, 40], dims=16, spread=0.4)
    config = ClusterConfig(k=(10,), diffusion=(2,), selection=("eom",), min_cluster_size=(0.6, 0.8))
    again, setting = found(config, points.astype(np.float16), truth, 0, [75, 150])
    assert setting is not None
    alone, _ = found(only(config, setting), points.astype(np.float16), truth, 0, [150])
    assert again.kinds == alone.kinds == 3
    assert again.nmi > 0.9


def test_the_score_alone_finds_what_is_apart() -> None:
    points, _ = blobs([60, 50, 40], dims=16, spread=0.4)
    assert by_score_alone(points.astype(np.float16), ClusterConfig(), 0) in GRID


def test_classes_of_a_draw_are_unequal(monkeypatch: pytest.MonkeyPatch) -> None:
    points, truth = blobs([90] * 10, dims=4, spread=0.4)
    monkeypatch.setattr("benchmarks.selection.innate_of", lambda *_: (points.astype(np.float16), truth))
    vectors_ND, label_N = drawn("digits", 20, 0)
    size_K = np.bincount(label_N)
    assert len(vectors_ND) == len(label_N) == size_K.sum()
    assert size_K.min() >= 4
    assert size_K.max() > 2 * size_K.min()
    assert np.diff(label_N).any()
