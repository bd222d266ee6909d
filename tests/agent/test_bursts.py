"""Near copies are one observation."""

from __future__ import annotations

import numpy as np

from agent.bursts import Bursts, NearCopy, gather_bursts
from agent.graph import Graph, neighbour_graph
from agent.space import unit

ALIKE = NearCopy(0.95, 0.95)


def gather(points: np.ndarray, near_copy: NearCopy = ALIKE) -> tuple[Bursts, Graph]:
    return gather_bursts(points, near_copy, lambda rows: neighbour_graph(points[rows], 5))


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


def test_both_cosines_must_say_so():
    points = unit(np.vstack([np.eye(4), [1, 0.1, 0, 0]]))
    graph = neighbour_graph(points, 4)
    assert len(gather(points)[0].row_R) == 4
    assert len(gather(points, NearCopy(0.95, 0.999))[0].row_R) == 5
    assert len(gather(points, NearCopy(0.999, 0.95))[0].row_R) == 5
    assert len(graph.neighbour_NK) == 5
