"""A graph that grew and shrank against the one found from nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.graph import neighbour_graph
from agent.neighbours import FARTHEST, SAMPLE, Neighbours
from agent.space import Points, unit

K = 4


class Grown:
    """A table and the numbers of the points in it, which stay ascending."""

    def __init__(self, points_ND: Points, spare: int = 3) -> None:
        self.points_ND = points_ND
        self.inside: list[int] = []
        self.table = Neighbours(K, points_ND.shape[1], spare)

    def insert(self, numbers: list[int]) -> None:
        numbers = sorted(set(numbers) - set(self.inside))
        self.inside = sorted([*self.inside, *numbers])
        points_MD = self.points_ND[numbers]
        at_M = np.searchsorted(self.inside, numbers)
        self.table.insert(points_MD, at_M, self.table.meet(points_MD))

    def remove(self, numbers: list[int]) -> None:
        gone = sorted(set(numbers) & set(self.inside))
        self.table.remove(np.searchsorted(self.inside, gone).astype(np.int64))
        self.inside = [number for number in self.inside if number not in set(gone)]

    def agrees(self) -> bool:
        graph = self.table.graph()
        exact = neighbour_graph(self.points_ND[self.inside], K)
        assert graph.neighbour_NK.shape == exact.neighbour_NK.shape
        rows = np.arange(len(graph.neighbour_NK))[:, None]
        assert (graph.neighbour_NK != rows).all()
        return np.allclose(graph.distance_NK, exact.distance_NK, atol=2e-3)


def scattered(count: int, dims: int = 6, seed: int = 0) -> Points:
    return unit(np.random.default_rng(seed).normal(size=(count, dims)))


PARTS = st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 59), min_size=1, max_size=25)), max_size=8)


@given(parts=PARTS, seed=st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_whatever_came_and_went_the_graph_is_that_of_those_who_are_there(parts: list[tuple[bool, set[int]]], seed: int):
    grown = Grown(scattered(60, seed=seed))
    for comes, numbers in parts:
        grown.insert(sorted(numbers)) if comes else grown.remove(sorted(numbers))
        assert grown.agrees()


@given(order=st.permutations(range(40)), cut=st.integers(1, 39))
@settings(max_examples=60, deadline=None)
def test_any_order_gives_the_same_graph(order: list[int], cut: int):
    points_ND = scattered(40)
    grown = Grown(points_ND)
    grown.insert(list(order[:cut]))
    grown.insert(list(order[cut:]))
    assert np.array_equal(grown.table.graph().neighbour_NK, neighbour_graph(points_ND, K).neighbour_NK)


def test_what_went_leaves_nothing_behind():
    points_ND = scattered(60)
    grown = Grown(points_ND)
    grown.insert(list(range(30)))
    before = grown.table.graph()
    grown.insert(list(range(30, 60)))
    grown.remove(list(range(30, 60)))
    assert np.array_equal(grown.table.graph().neighbour_NK, before.neighbour_NK)


def test_a_large_table_turns_over():
    """Beyond the sizes at which everything is compared with everything."""
    points_ND = scattered(6_000, dims=12)
    grown = Grown(points_ND, spare=8)
    grown.insert(list(range(4_000)))
    for start in range(0, 2_000, 500):
        grown.remove(list(range(start, start + 500)))
        grown.insert(list(range(4_000 + start, 4_500 + start)))
    exact = neighbour_graph(points_ND[2_000:], K)
    assert (grown.table.graph().neighbour_NK == exact.neighbour_NK).mean() > 0.9999


def test_copies_are_each_others_neighbours():
    grown = Grown(unit(np.ones((30, 4))))
    grown.insert(list(range(10)))
    grown.insert(list(range(10, 30)))
    assert grown.agrees()
    assert (grown.table.graph().distance_NK < 1e-3).all()


def test_a_table_that_nobody_is_in():
    table = Neighbours(K, 3)
    assert table.graph().neighbour_NK.shape == (0, 0)
    table.remove(np.empty(0, dtype=np.int64))
    assert len(table) == 0


@pytest.mark.parametrize("count", [5, 30, 400, 9_000])
def test_whoever_is_closer_than_the_bound_is_met(count: int):
    wanted = 20
    residents_ND, newcomers_MD = scattered(count), scattered(16, seed=1)
    step = max(1, count // SAMPLE)
    residents_ND[: 40 * step : step] = newcomers_MD[3]  # so that the sample sees more of them than there are
    table = Neighbours(K, 6, wanted - K)
    table.insert(residents_ND, np.arange(count), table.meet(residents_ND))
    pairs = table.meet(newcomers_MD)
    apart_MN = 1 - newcomers_MD @ residents_ND.T
    met_MN = np.zeros(apart_MN.shape, dtype=np.bool_)
    met_MN[pairs.new_E, pairs.old_E] = True
    assert len(pairs.new_E) == met_MN.sum()
    assert np.allclose(pairs.apart_E, apart_MN[pairs.new_E, pairs.old_E], atol=1e-5)
    closer_MN = apart_MN < pairs.bound_M[:, None] - 1e-5
    assert met_MN[closer_MN].all()
    assert (pairs.bound_M == FARTHEST).all() == (count <= 60)
    enough_M = (apart_MN < pairs.bound_M[:, None] + 1e-5).sum(axis=1) > wanted
    assert enough_M.all() or count <= 60
