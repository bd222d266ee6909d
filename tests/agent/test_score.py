"""Scores without labels against the naive way to get them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from agent.score import FAR_OFF, SILHOUETTE_POINTS, agreement, kind_stability, separation, silhouette, valley
from agent.space import Points, unit
from tests.agent.shapes import blobs


@pytest.fixture(scope="module")
def crowd() -> tuple[Points, np.ndarray]:
    points, truth = blobs([60, 50, 40], dims=12, spread=0.6, noise=10)
    return unit(points), truth


def naive_silhouette(points_ND: Points, label_N: np.ndarray) -> float:
    """Rousseeuw 1987, point by point."""
    apart_NN = 1 - points_ND.astype(np.float64) @ points_ND.T.astype(np.float64)
    widths = []
    for i, label in enumerate(label_N.tolist()):
        own = label_N == label
        if own.sum() == 1:
            widths.append(0.0)
            continue
        within = apart_NN[i, own].sum() / (own.sum() - 1)
        nearest = min(apart_NN[i, label_N == other].mean() for other in set(label_N.tolist()) - {label})
        widths.append((nearest - within) / max(within, nearest))
    return float(np.mean(widths))


def test_the_silhouette_is_that_of_whoever_is_assigned(crowd: tuple[Points, np.ndarray]) -> None:
    points_ND, label_N = crowd
    inside_N = label_N >= 0
    expected = naive_silhouette(points_ND[inside_N], label_N[inside_N])
    assert silhouette(points_ND, label_N, np.random.default_rng(0)) == pytest.approx(expected, abs=1e-5)


def test_the_silhouette_of_many_is_near_that_of_all() -> None:
    points, truth = blobs([SILHOUETTE_POINTS, SILHOUETTE_POINTS // 2], dims=8, spread=0.8)
    points_ND = unit(points)
    exact = silhouette_samples(points_ND, truth, metric="cosine").mean()
    assert silhouette(points_ND, truth, np.random.default_rng(0)) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("labels", [[-1, -1, -1, -1], [0, 0, 0, -1], [0, 1, 2, 3]])
def test_there_is_no_silhouette_without_kinds_to_compare(labels: list[int]) -> None:
    points_ND = unit(np.random.default_rng(0).normal(size=(4, 3)))
    assert silhouette(points_ND, np.array(labels), np.random.default_rng(0)) == 0


def test_agreement_is_what_pairs_say_beyond_chance() -> None:
    """Adjusted Rand index (Hubert and Arabie 1985), pair by pair."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 3, 40), rng.integers(0, 4, 40)
    other[:25] = one[:25]
    pairs = list(combinations(range(40), 2))
    same = np.array([(one[i] == one[j], other[i] == other[j]) for i, j in pairs])
    both, first, second = (same[:, 0] & same[:, 1]).sum(), same[:, 0].sum(), same[:, 1].sum()
    chance = first * second / len(pairs)
    assert agreement(one, other) == pytest.approx((both - chance) / ((first + second) / 2 - chance))
    assert agreement(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == 0


def test_a_kind_is_as_stable_as_its_likest_is_alike() -> None:
    """Jaccard index by sets."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(-1, 3, 50), rng.integers(-1, 4, 50)
    members = [set(np.flatnonzero(one == kind).tolist()) for kind in range(4)]
    others = [set(np.flatnonzero(other == kind).tolist()) for kind in range(4)]
    expected = [max(len(a & b) / max(1, len(a | b)) for b in others) for a in members]
    assert kind_stability(one, other, 4) == pytest.approx(expected)


def cloud(count: int, at: float, seed: int) -> Points:
    """Gaussian, of unit width, along the first of three axes."""
    return np.random.default_rng(seed).normal((at, 0, 0), size=(count, 3)).astype(np.float32)


@pytest.mark.parametrize("gap", [3.0, 4.0, 6.0])
def test_a_valley_is_as_deep_as_two_bells_leave_it(gap: float) -> None:
    """Closed form: the sum of two bells of width s in the middle between them, over that on the lower top."""
    smoothed = 1 + (1.06 * 4_000**-0.2) ** 2  # the kernel widens the bells
    middle, top = 2 * np.exp(-((gap / 2) ** 2) / (2 * smoothed)), 1 + np.exp(-(gap**2) / (2 * smoothed))
    assert valley(cloud(4_000, 0, 0), cloud(4_000, gap, 1)) == pytest.approx(middle / top, abs=0.08)


def test_a_valley_is_the_same_from_both_sides() -> None:
    one, other = cloud(300, 0, 0), cloud(80, 3, 1)
    assert valley(one, other) == pytest.approx(valley(other, one), rel=1e-4)


def test_kinds_are_apart_or_one_cloud_that_was_cut() -> None:
    points, truth = blobs([300, 200, 100], dims=16, spread=0.3)
    assert separation(unit(points), truth, 3) > 0.9
    whole, _ = blobs([600], dims=16, spread=0.8)
    halves = (whole[:, 0] > np.median(whole[:, 0])).astype(np.int64)
    assert separation(whole, halves, 2) < 0.4
    assert separation(whole, np.zeros(600, dtype=np.int64), 1) == 0
    assert separation(whole, np.full(600, -1), 0) == 0


def test_a_quarter_of_the_pairs_says_enough_where_kinds_are_far_off_the_bound() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(14), 60)
    apart = unit(rng.normal(size=(14, 16))[truth] + 0.7 * rng.normal(size=(840, 16)))
    every = separation(apart, truth, 14)
    glance = separation(apart, truth, 14, bound=0.25)
    assert glance != every
    assert glance == pytest.approx(every, abs=0.05)
    assert separation(apart, truth, 14, bound=every - FAR_OFF / 2) == every
