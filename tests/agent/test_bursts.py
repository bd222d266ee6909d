"""Near copies are one observation, whatever the order in which they come and go."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bursts import Bursts, NearCopy
from agent.graph import neighbour_graph
from agent.space import Points, unit

ALIKE = NearCopy(0.95, 0.95)
K = 5


def gather(points: Points, near_copy: NearCopy = ALIKE) -> Bursts:
    bursts = Bursts(near_copy, K, (points.shape[1], points.shape[1]))
    bursts.insert(points, points, np.arange(len(points)))
    return bursts


def naive(points: Points, near_copy: NearCopy = ALIKE) -> list[int]:
    """Leaders by the definition, one picture after the other."""
    leaders: list[int] = []
    chosen: list[int] = []
    for row, point in enumerate(points):
        near = [leader for leader in leaders if point @ points[leader] > max(near_copy.innate, near_copy.centred)]
        if not near:
            leaders.append(row)
        chosen.append(min(near, default=row))
    return chosen


def test_pictures_apart_stand_for_themselves():
    bursts = gather(unit(np.eye(6)))
    assert bursts.row_R.tolist() == list(range(6))
    assert bursts.weight_R.tolist() == [1] * 6
    assert bursts.graph().neighbour_NK.shape == (6, 5)


def test_a_burst_longer_than_the_neighbours_is_one_observation():
    rng = np.random.default_rng(0)
    points = unit(np.vstack([np.eye(8)[:4], np.eye(8)[7] + 0.01 * rng.normal(size=(100, 8))]))
    bursts = gather(points)
    assert bursts.row_R.tolist() == [0, 1, 2, 3, 4]
    assert bursts.burst_N.tolist() == [0, 1, 2, 3] + [4] * 100
    assert bursts.weight_R.tolist() == [1, 1, 1, 1, 7]
    assert len(bursts.graph().neighbour_NK) == 5


def test_a_slow_change_does_not_chain_into_one():
    angle = np.linspace(0, np.pi / 2, 60)
    points = unit(np.column_stack([np.cos(angle), np.sin(angle)]))
    bursts = gather(points)
    assert 3 <= len(bursts.row_R) <= 8
    for member, burst in enumerate(bursts.burst_N.tolist()):
        assert points[member] @ points[bursts.row_R[burst]] > 0.85


def test_both_cosines_must_say_so():
    points = unit(np.vstack([np.eye(4), [1, 0.1, 0, 0]]))
    assert len(gather(points).row_R) == 4
    assert len(gather(points, NearCopy(0.95, 0.999)).row_R) == 5
    assert len(gather(points, NearCopy(0.999, 0.95)).row_R) == 5


# -------------------------------------------------------------------- coming and going

CROWD = 48


def crowd(seed: int) -> Points:
    """Points on a circle, many of them near copies of several others, none on the edge of it (25.3 steps)."""
    angle = np.random.default_rng(seed).choice(500, CROWD, replace=False) * 2 * np.pi / 500
    return unit(np.column_stack([np.cos(angle), np.sin(angle)]))


PARTS = st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, CROWD - 1), min_size=1, max_size=20)), max_size=8)


@given(parts=PARTS, seed=st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_whatever_came_and_went_the_bursts_are_those_of_who_is_there(parts: list[tuple[bool, set[int]]], seed: int):
    points = crowd(seed)
    bursts = Bursts(ALIKE, K, (2, 2))
    inside: list[int] = []
    for comes, numbers in parts:
        if comes:
            new = sorted(numbers - set(inside))
            inside = sorted([*inside, *new])
            bursts.insert(points[new], points[new], np.searchsorted(inside, new))
        else:
            gone = sorted(numbers & set(inside))
            bursts.remove(np.searchsorted(inside, gone).astype(np.int64))
            inside = [number for number in inside if number not in numbers]
        assert bursts.leader_N.tolist() == naive(points[inside])
        assert bursts.row_R.tolist() == sorted(set(bursts.leader_N.tolist()))
        graph, exact = bursts.graph(), neighbour_graph(points[inside][bursts.row_R], K)
        assert np.allclose(graph.distance_NK, exact.distance_NK, atol=2e-3)


def test_more_than_are_settled_at_a_time():
    rng = np.random.default_rng(0)
    points = unit(np.repeat(rng.normal(size=(700, 16)), 3, axis=0) + 0.01 * rng.normal(size=(2_100, 16)))
    order = rng.permutation(len(points))
    assert gather(points[order]).leader_N.tolist() == naive(points[order])
