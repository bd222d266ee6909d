"""Near copies are one observation."""

from __future__ import annotations

import numpy as np

from agent.bursts import gather_bursts
from agent.graph import neighbour_graph
from agent.space import unit


def gather(points: np.ndarray, near_copy: float = 0.95, k: int = 5):
    return gather_bursts(points, near_copy, lambda rows: neighbour_graph(points[rows], k))


def test_pictures_apart_stand_for_themselves():
    bursts, graph = gather(unit(np.eye(6)))
    assert bursts.row_R.tolist() == list(range(6))
    assert bursts.weight_R.tolist() == [1] * 6
    assert graph.neighbour_NK.shape == (6, 5)


def test_a_burst_longer_than_the_neighbours_is_one_observation():
    rng = np.random.default_rng(0)
    points = unit(np.vstack([np.eye(8)[:4], np.eye(8)[7] + 0.01 * rng.normal(size=(100, 8))]))
    bursts, graph = gather(points)
    assert bursts.row_R.tolist() == [0, 1, 2, 3, 4]
    assert bursts.burst_N.tolist() == [0, 1, 2, 3] + [4] * 100
    assert bursts.weight_R.tolist() == [1, 1, 1, 1, 7]
    assert len(graph.neighbour_NK) == 5


def test_a_slow_change_does_not_chain_into_one():
    angle = np.linspace(0, np.pi / 2, 60)
    points = unit(np.column_stack([np.cos(angle), np.sin(angle)]))
    bursts, _ = gather(points)
    assert 3 <= len(bursts.row_R) <= 8
    for member, burst in enumerate(bursts.burst_N.tolist()):
        assert points[member] @ points[bursts.row_R[burst]] > 0.85
