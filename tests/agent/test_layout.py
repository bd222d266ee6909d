"""The map stays where it was, and shows what is new beside what it is like."""

from __future__ import annotations

import numpy as np
import pytest

from agent.graph import neighbour_graph
from agent.layout import FAN, Layout, among_neighbours, beginning, fanned
from agent.space import Points, unit
from tests.agent.test_umap import blobs

POINTS = blobs(400)
TURN = np.array([[0, -1], [1, 0]], dtype=np.float32)


def nowhere(count: int) -> Points:
    return np.full((count, 2), np.nan, dtype=np.float32)


def made(points: Points, known: Points, seed: int = 0) -> Points:
    layout = Layout(points, neighbour_graph(points, 30), known, np.random.default_rng(seed))
    while layout.step():
        pass
    return layout.places()


@pytest.fixture(scope="module")
def first() -> Points:
    return made(POINTS, nowhere(400))


def moved(one: Points, other: Points) -> float:
    """Median displacement as a share of the map."""
    return float(np.median(np.linalg.norm(one - other, axis=1)) / np.ptp(one, axis=0).max())


def test_the_same_seed_gives_the_same_map_around_the_middle(first: Points) -> None:
    assert (made(POINTS, nowhere(400)) == first).all()
    assert first.mean(axis=0) == pytest.approx([0, 0], abs=1e-4)


def test_the_next_map_stays_where_one_from_nothing_would_not(first: Points) -> None:
    assert moved(first, made(POINTS, first, seed=1)) < 0.02
    others = blobs(400, seed=5)
    assert moved(first, made(others, nowhere(400), seed=1)) > 0.1


def test_a_map_is_laid_upon_a_turned_one(first: Points) -> None:
    turned = first @ TURN + 9
    assert moved(turned, made(POINTS, turned, seed=1)) < 0.02


def test_what_is_new_begins_among_its_neighbours_and_ends_near_them(first: Points) -> None:
    known = first.copy()
    new = np.arange(0, 400, 5)
    known[new] = np.nan
    graph = neighbour_graph(POINTS, 14)
    begins = beginning(POINTS, graph, known, np.random.default_rng(0))
    old = np.setdiff1d(np.arange(400), new)
    assert (begins[old] == first[old]).all()
    assert moved(first[new], made(POINTS, known, seed=1)[new]) < 0.05


def test_what_has_no_neighbour_on_the_map_begins_by_its_axes(first: Points) -> None:
    island = unit(np.eye(16)[15] + 0.05 * np.random.default_rng(0).normal(size=(40, 16)))
    points = np.concatenate([POINTS, island])
    known = np.concatenate([first, nowhere(40)])
    begins = beginning(points, neighbour_graph(points, 14), known, np.random.default_rng(0))
    assert np.isfinite(begins).all()
    assert np.isfinite(made(points, known)).all()


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_few_points_and_copies_have_places(count: int) -> None:
    for points in (blobs(count), np.tile(unit(np.ones((1, 16))), (count, 1))):
        one = made(points, nowhere(count))
        assert one.shape == (count, 2)
        assert np.isfinite(made(points, one)).all()


def test_near_copies_lie_around_the_one_that_stands_for_them_and_stay() -> None:
    place = np.array([[0, 0], [5, 5]], dtype=np.float32)
    burst, leads = np.array([0, 0, 0, 1]), np.array([True, False, False, True])
    fan = fanned(place, burst, leads, np.array([3, 4, 9, 12]))
    assert (fan[leads] == place).all()
    apart = np.linalg.norm(fan[1:3], axis=1)
    assert ((apart > 0) & (apart <= FAN)).all()
    assert (fan[1] != fan[2]).any()
    assert (fanned(place, burst[:2], leads[:2], np.array([3, 4])) == fan[:2]).all()


def test_what_was_not_laid_out_lies_in_the_middle_of_its_neighbours(first: Points) -> None:
    found = among_neighbours(first, POINTS, blobs(8, seed=7))
    for number in range(8):
        kind = first[np.arange(400) % 4 == number % 4]
        assert np.linalg.norm(found[number] - kind.mean(axis=0)) < np.ptp(kind, axis=0).max()
    assert among_neighbours(first, POINTS, POINTS[:0]).shape == (0, 2)
