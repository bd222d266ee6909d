"""Kinds with given parameters: found where they are, whatever the order, and put together again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from agent.discovery import Kinds, Setting, discover, one_kind, settled, smallest, together, wanted, without
from agent.graph import neighbour_graph
from agent.observations import Observations
from agent.propagation import INERTIA
from agent.space import Points, unit
from tests.agent.shapes import blobs

SETTING = Setting(k=8, diffusion=4, selection="eom", min_cluster_size=0.6)


def found(points_ND: Points, **options: Any) -> Kinds:
    """With every observation weighing 1."""
    seen = Observations(points_ND, np.ones(len(points_ND), dtype=np.int64), min_samples=5, min_size=5)
    return discover(replace(seen, **options), neighbour_graph(points_ND, wanted(5)), SETTING)


def test_clouds_are_kinds_and_all_of_them_are_reached():
    points, label = blobs([60, 80, 100], spread=0.4)
    kinds = found(unit(points))
    assert kinds.count == 3
    assert adjusted_rand_score(label, kinds.label_N) == 1
    assert kinds.probability_N.min() > 0.5
    assert (kinds.label_N[kinds.core_N >= 0] == kinds.core_N[kinds.core_N >= 0]).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_the_order_of_observations_says_nothing(seed: int):
    points = unit(blobs([50, 70, 90], spread=0.7)[0])
    order = np.random.default_rng(seed).permutation(len(points))
    assert adjusted_rand_score(found(points).label_N[order], found(points[order]).label_N) == pytest.approx(1, abs=0.02)


def test_what_weighs_too_little_is_no_kind():
    points, label = blobs([60, 60, 12], spread=0.3)
    assert found(unit(points)).count == 3
    assert found(unit(points), min_size=20).count == 2
    heavy = np.where(label == 2, 3, 1)
    assert found(unit(points), min_size=20, weight_N=heavy).count == 3


def test_the_smallest_kind_grows_with_the_root_of_the_window():
    assert [smallest(SETTING, np.ones(n, dtype=np.int64), 5) for n in (9, 400, 40_000)] == [5, 12, 120]


def test_the_benefit_of_the_doubt_decides_and_is_not_stated():
    share = np.array([[1, 0], [1, 0], [0, 1], [0.45, 0.55]], dtype=np.float32)
    label, stated, sure = settled(share, np.array([0, 0, 1, 0]))
    assert label.tolist() == [0, 0, 1, 0]
    assert sure[3] == pytest.approx(0.45 + INERTIA)
    assert stated[3] < 0.45
    assert settled(share, None)[0].tolist() == [0, 0, 1, 1]


def test_kinds_that_nothing_separates_are_one():
    kinds = found(unit(blobs([60, 80], spread=0.4)[0]))
    one = one_kind(kinds)
    assert (one.count, set(one.label_N.tolist())) == (1, {0})
    assert np.array_equal(one.core_N >= 0, kinds.core_N >= 0)
    nothing = replace(kinds, core_N=np.full(140, -1), parent_K=())
    assert (one_kind(nothing).core_N == 0).all()
    assert together(kinds.diffused_ND).probability_N.min() == 1


def test_what_belongs_no_more_leaves_nothing_behind():
    kinds = found(unit(blobs([60, 80], spread=0.4)[0]))
    gone = np.arange(140) < 10
    left = without(kinds, gone)
    assert (left.label_N[gone] == -1).all()
    assert (left.core_N[gone] == -1).all()
    assert not left.share_NK[gone].any()
    assert not left.probability_N[gone].any()
    assert np.array_equal(left.label_N[~gone], kinds.label_N[~gone])
