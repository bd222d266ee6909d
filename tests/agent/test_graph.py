"""Neighbours against brute force, and what diffusion does to them."""

from __future__ import annotations

import numpy as np
import pytest

from agent.graph import diffuse, measured, neighbour_graph
from agent.space import unit
from tests.agent.shapes import blobs


@pytest.fixture
def points() -> np.ndarray:
    return unit(blobs([40, 30], spread=0.6)[0])


def test_neighbours_are_those_of_brute_force(points: np.ndarray):
    graph = neighbour_graph(points, 7)
    cosine = points @ points.T
    np.fill_diagonal(cosine, -2)
    assert np.array_equal(graph.neighbour_NK, np.argsort(-cosine, axis=1)[:, :7])
    rows = np.arange(len(points))[:, None]
    distance = np.linalg.norm(points[rows] - points[graph.neighbour_NK], axis=2)
    assert np.allclose(graph.distance_NK, distance, atol=1e-3)


def test_nobody_is_its_own_neighbour_among_copies():
    graph = neighbour_graph(unit(np.ones((50, 4))), 6)
    assert graph.neighbour_NK.shape == (50, 6)
    assert (graph.neighbour_NK != np.arange(50)[:, None]).all()


@pytest.mark.parametrize(("count", "k"), [(1, 0), (2, 1), (5, 4)])
def test_k_is_clipped(count: int, k: int):
    assert neighbour_graph(unit(np.eye(8)[:count]), 15).neighbour_NK.shape == (count, k)


def test_diffusion_is_the_normalised_mean_of_neighbours(points: np.ndarray):
    graph = neighbour_graph(points, 5)
    once = diffuse(points, graph.neighbour_NK, 1)
    assert np.allclose(once, unit(points[graph.neighbour_NK].mean(axis=1)), atol=1e-6)
    assert np.allclose(diffuse(points, graph.neighbour_NK, 2), diffuse(once, graph.neighbour_NK, 1))
    assert diffuse(points, graph.neighbour_NK, 0) is points
    alike = np.random.default_rng(0).integers(-1, 3, len(points))
    assert np.array_equal(diffuse(points, graph.neighbour_NK, 3, alike), diffuse(points, graph.neighbour_NK, 3))


def test_distances_are_measured_anew(points: np.ndarray):
    graph = neighbour_graph(points, 5)
    moved = diffuse(points, graph.neighbour_NK, 3)
    again = measured(moved, graph)
    assert np.array_equal(again.neighbour_NK, graph.neighbour_NK)
    gap = np.linalg.norm(moved[:, None] - moved[graph.neighbour_NK], axis=2)
    assert np.allclose(again.distance_NK, gap, atol=1e-6)
