"""What hangs together among what belongs nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from agent.graph import neighbour_graph
from agent.piles import CLOSE, piles
from agent.space import unit


@pytest.fixture
def rows() -> np.ndarray:
    """Neighbours in three groups of 40, far apart."""
    points = np.random.default_rng(0).normal(0, 0.1, (120, 16)) + np.repeat(np.eye(16)[:3], 40, axis=0)
    return neighbour_graph(unit(points), 15).neighbour_NK


def naive(rows: np.ndarray, free: np.ndarray) -> set[frozenset[int]]:
    close = [set(row[:CLOSE].tolist()) for row in rows]
    left, found = set(np.flatnonzero(free).tolist()), set()
    while left:
        pile, edge = set(), [min(left)]
        while edge:
            one = edge.pop()
            pile.add(one)
            edge += [i for i in left if i not in pile and i in close[one] and one in close[i]]
        left -= pile
        found.add(frozenset(pile))
    return found


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 1.0])
def test_piles_are_what_hangs_together_by_mutual_neighbours(rows: np.ndarray, share: float) -> None:
    free = np.random.default_rng(1).random(120) < share
    number = piles(rows, free)
    assert (number[~free] == -1).all()
    found = {frozenset(np.flatnonzero(number == one).tolist()) for one in set(number[free].tolist())}
    assert found == naive(rows, free)


def test_groups_that_are_far_apart_are_piles_of_their_own(rows: np.ndarray) -> None:
    number = piles(rows, np.ones(120, dtype=np.bool_))
    assert all(len(set(number[start : start + 40].tolist()) & set(number[:start].tolist())) == 0 for start in (40, 80))


def test_no_neighbours_and_nobody() -> None:
    assert len(set(piles(np.empty((3, 0), dtype=np.int64), np.ones(3, dtype=np.bool_)).tolist())) == 3
    assert piles(np.empty((0, 0), dtype=np.int64), np.ones(0, dtype=np.bool_)).tolist() == []
