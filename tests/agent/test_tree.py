"""The tree on a graph against the exact one: hdbscan on the same points, scipy on all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hdbscan import HDBSCAN
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from agent.condensed import condense
from agent.graph import neighbour_graph
from agent.space import Points, unit
from agent.tree import INERTIA, Flat, favours, forest, linkage, select, spanning_tree
from tests.agent.shapes import blobs

MIN_SAMPLES = 5


def ours(points: Points, k: int, min_cluster_size: int, method: str) -> Flat:
    return select(linkage(spanning_tree(points, neighbour_graph(points, k), MIN_SAMPLES)), min_cluster_size, method)


def exact(points: Points, min_cluster_size: int, method: str) -> np.ndarray:
    model = HDBSCAN(
        min_cluster_size, min_samples=MIN_SAMPLES, cluster_selection_method=method, approx_min_span_tree=False
    )
    return np.asarray(model.fit_predict(points.astype(np.float64)))


@pytest.mark.parametrize("method", ["eom", "leaf"])
def test_same_labels_as_hdbscan_where_kinds_are_apart(method: str):
    points = unit(blobs([120, 90, 60, 40], spread=0.15)[0])
    found = ours(points, 15, 15, method)
    assert adjusted_rand_score(found.label_N, exact(points, 15, method)) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nearly_same_labels_as_hdbscan_where_kinds_overlap(seed: int):
    points = unit(blobs([300, 250, 200, 150], spread=0.62, noise=90, seed=seed)[0])
    found = ours(points, 30, 20, "eom")
    assert found.label_N.max() >= 1
    assert adjusted_rand_score(found.label_N, exact(points, 20, "eom")) >= 0.96


@pytest.mark.parametrize(("sizes", "k"), [([60], 59), ([40, 30], 10), ([30, 20, 25, 22], 6)])
def test_spanning_tree_weighs_what_the_exact_one_weighs(sizes: list[int], k: int):
    """With all neighbours it is exact; with few, the components of the graph are joined by exact bridges."""
    points = unit(blobs(sizes, spread=0.1 if len(sizes) > 1 else 0.5)[0])
    distance = cdist(points, points)
    core = np.sort(distance, axis=1)[:, MIN_SAMPLES]
    reach = np.maximum(distance, np.maximum(core[:, None], core[None, :]))
    np.fill_diagonal(reach, 0)
    tree = spanning_tree(points, neighbour_graph(points, k), MIN_SAMPLES)
    assert len(tree) == len(points) - 1
    assert tree[:, 2].sum() == pytest.approx(minimum_spanning_tree(reach).sum(), rel=0.01)
    if len(sizes) == 1:
        assert tree[:, 2].sum() == pytest.approx(minimum_spanning_tree(reach).sum(), rel=1e-4)


def test_copies_of_one_point_make_a_tree():
    points = unit(np.ones((30, 4)))
    tree = spanning_tree(points, neighbour_graph(points, 5), MIN_SAMPLES)
    assert len(tree) == 29
    assert np.isfinite(tree).all()


def test_weights_reach_the_smallest_size():
    """Twelve points are too few for a kind of twenty, unless each of them weighs twice."""
    points = unit(blobs([12, 40], spread=0.1, seed=3)[0])
    tree = spanning_tree(points, neighbour_graph(points, 8), 3)
    assert select(linkage(tree), 20, "eom").label_N.max() == -1
    assert select(linkage(tree, np.full(52, 2)), 20, "eom").label_N.max() == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_of_nodes_are_sums_over_what_lies_below(seed: int):
    points = unit(blobs([30, 20, 9], spread=0.5, seed=seed)[0])
    weight = np.random.default_rng(seed).integers(1, 9, len(points))
    tree = linkage(spanning_tree(points, neighbour_graph(points, 8), 3), weight)
    below = {row: [row] for row in range(len(points))}
    for node, (left, right) in enumerate(tree[:, :2].astype(int).tolist(), start=len(points)):
        below[node] = below[left] + below[right]
        assert tree[node - len(points), 3] == weight[below[node]].sum()


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 60),
    k=st.integers(1, 6),
    levels=st.sampled_from([2, 5, 1_000]),
)
@settings(max_examples=200, deadline=None)
def test_forest_weighs_what_scipys_weighs_ties_included(seed: int, count: int, k: int, levels: int):
    rng = np.random.default_rng(seed)
    k = min(k, count - 1)
    other = np.stack([rng.permutation(np.delete(np.arange(count), row))[:k] for row in range(count)])
    between = rng.integers(1, levels + 1, (count, count)) / 8
    weight = np.minimum(between, between.T)[np.arange(count)[:, None], other].astype(np.float32)
    edges, part = forest(other, weight)
    starts = np.arange(0, count * k + 1, k)
    graph = csr_array((weight.ravel().astype(float), other.ravel(), starts), shape=(count, count))
    expected = minimum_spanning_tree(graph)
    parts, part_of = connected_components(graph, directed=False)
    assert len(edges) == expected.nnz == count - parts
    assert edges[:, 2].sum() == pytest.approx(expected.sum())
    assert adjusted_rand_score(part, part_of) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nodes_are_favoured_for_being_what_was_known(seed: int):
    points = unit(blobs([60, 50, 40], spread=0.5, noise=10, seed=seed)[0])
    condensed = condense(linkage(spanning_tree(points, neighbour_graph(points, 8), 3)), 8)
    before = np.random.default_rng(seed).integers(-1, 2, len(points))
    before[: len(points) // 2] = 2
    parents = condensed.parent_T.tolist()

    def below(node: int) -> set[int]:
        mine = set(np.flatnonzero(condensed.node_N == node).tolist())
        return mine.union(*(below(child) for child, parent in enumerate(parents) if parent == node))

    known = set(np.flatnonzero(before >= 0).tolist())
    kinds = [set(np.flatnonzero(before == kind).tolist()) for kind in range(3)]
    for node, factor in enumerate(favours(condensed, before).tolist()):
        mine = below(node) & known
        like = max((len(mine & kind) / len(mine | kind) for kind in kinds if mine | kind), default=0)
        assert factor == pytest.approx(1 + INERTIA * max(0, 2 * like - 1))


def test_kinds_that_were_there_get_the_benefit_of_the_doubt():
    """Two clouds so near that eom is just about to take them for one: whatever it said before, it says again."""
    rng = np.random.default_rng(0)
    found = {}
    for gap in np.linspace(0.1, 0.5, 21):
        centres = np.eye(6)[0] + np.outer([-gap, gap], np.eye(6)[1])
        points = unit(
            np.vstack(
                [centres[i] + 0.1 * rng.normal(size=(80, 6)) for i in (0, 1)]
                + [-np.eye(6)[:1].repeat(60, 0) + 0.1 * rng.normal(size=(60, 6))]
            )
        )
        tree = linkage(spanning_tree(points, neighbour_graph(points, 15), 5))
        one, two = np.repeat([0, 0, 1], [80, 80, 60]), np.repeat([0, 1, 2], [80, 80, 60])
        found[gap] = [select(tree, 12, "eom", before).label_N.max() + 1 for before in (one, two)]
    assert all(after_one <= after_two for after_one, after_two in found.values())
    assert any(after_one < after_two for after_one, after_two in found.values())


def test_parents_group_what_belongs_together():
    """Two pairs of near clouds: each pair has a parent of its own below the root."""
    rng = np.random.default_rng(0)
    axes = np.eye(8)[:2]
    centres = [axes[0], axes[0] + 0.3 * np.eye(8)[2], axes[1], axes[1] + 0.3 * np.eye(8)[3]]
    points = unit(np.vstack([centre + 0.02 * rng.normal(size=(40, 8)) for centre in centres]))
    found = ours(points, 15, 15, "leaf")
    kind = [int(np.bincount(found.label_N[40 * i : 40 * i + 40]).argmax()) for i in range(4)]
    parent = [found.parent_K[k] for k in kind]
    assert parent[0] == parent[1] is not None
    assert parent[2] == parent[3] is not None
    assert parent[0] != parent[2]
