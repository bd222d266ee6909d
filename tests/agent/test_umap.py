"""UMAP on a graph that is given."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from agent.graph import Graph, neighbour_graph
from agent.space import Points, unit
from agent.umap import Umap, fuzzy_union, pull, push


def blobs(count: int, seed: int = 0, kinds: int = 4) -> Points:
    """(N, 16) points of unit length around a few centres, kind by kind in turn."""
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 0.15, (count, 16))
    points[np.arange(count), np.arange(count) % kinds] += 1
    return unit(points)


def test_the_union_is_that_of_the_paper() -> None:
    graph = neighbour_graph(blobs(60), 14)
    union = fuzzy_union(graph).toarray()
    one_way = np.zeros((60, 60))
    for i in range(60):
        gap = np.maximum(graph.distance_NK[i] - graph.distance_NK[i].min(), 0)
        widths = np.geomspace(1e-4, 10, 20_001)
        sums = np.exp(-gap[None] / widths[:, None]).sum(axis=1)
        width = widths[np.abs(sums - np.log2(15)).argmin()]
        one_way[i, graph.neighbour_NK[i]] = np.exp(-gap / width)
    assert union == pytest.approx(one_way + one_way.T - one_way * one_way.T, abs=2e-3)
    assert (union == union.T).all()


@pytest.mark.parametrize("force", [pull, push])
def test_forces_are_gradients_of_log_closeness(force: object) -> None:
    gap, step = np.array([[0.8, -0.5]]), 1e-5

    def log(at: Points) -> float:
        closeness = 1 / (1 + 1.577 * float((at**2).sum()) ** 0.895)
        return float(np.log(closeness if force is pull else 1 - closeness))

    slope = [(log(gap + move) - log(gap - move)) / (2 * step) for move in step * np.eye(2)]
    assert force(gap)[0] == pytest.approx(slope, rel=2e-3)  # type: ignore[operator]


def test_a_map_keeps_neighbours_together_and_comes_out_the_same_again() -> None:
    points = blobs(300)
    start = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)

    def made() -> Points:
        umap = Umap(neighbour_graph(points, 14), start, 150, 0.5, np.random.default_rng(0))
        while umap.step():
            pass
        return umap.place_N2

    place = made()
    assert trustworthiness(points, place, n_neighbors=10) > 0.9
    assert (place == made()).all()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_points_and_copies_stay_finite(count: int) -> None:
    for points in (blobs(count), np.tile(unit(np.ones((1, 16))), (count, 1))):
        start = 1e-3 * np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
        umap = Umap(neighbour_graph(points, 14), start, 20, 0.5, np.random.default_rng(0))
        while umap.step():
            pass
        assert umap.place_N2.shape == (count, 2)
        assert np.isfinite(umap.place_N2).all()


def test_nothing_without_points_is_a_graph_too() -> None:
    empty = Graph(np.empty((0, 0), dtype=np.int64), np.empty((0, 0), dtype=np.float32))
    assert fuzzy_union(empty).shape == (0, 0)
