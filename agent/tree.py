"""HDBSCAN* on a sparse graph: mutual reachability, spanning tree, condensed tree, selection of flat kinds.

The tree is hdbscan's own; only the distances come from a graph of neighbours instead of all pairs (Campello et al.
2013; the sparse graph as in FISHDBC, Dell'Amico 2019). It knows nothing about pictures or the choice of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdbscan._hdbscan_linkage import label as linkage_of
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist

from agent.graph import Graph
from agent.space import Points

Labels = NDArray[np.int64]

# scipy takes a weight of nothing for no edge, and hdbscan divides by it.
SHORTEST = 1e-6
# Points that look for bridges between components of the graph, all components together: bounds time and memory.
BRIDGE_POINTS = 2_048


@dataclass(frozen=True, slots=True)
class Flat:
    """Kinds selected from a condensed tree.

    Attributes:
        label_N: 0 .. K-1, or -1 for noise.
        strength_N: membership strength in [0, 1], of hdbscan.
        persistence_K: stability score in [0, 1] of each kind, of hdbscan.
        parent_K: the node of the condensed tree above each kind; None where that is the root.
    """

    label_N: Labels
    strength_N: Points
    persistence_K: Points
    parent_K: tuple[int | None, ...]


def core_distances(graph: Graph, min_samples: int) -> Points:
    """Distance of each point to its min_samples-th neighbour, as hdbscan counts them (itself left out)."""
    return graph.distance_NK[:, min(min_samples, graph.distance_NK.shape[1]) - 1]


def spanning_tree(points_ND: Points, graph: Graph, min_samples: int) -> NDArray[np.float64]:
    """Minimum spanning tree of the mutual-reachability graph, (N - 1, 3): from, to, weight; shortest first.

    Components of the graph are joined by the shortest mutual-reachability edge between their points: exact up to
    BRIDGE_POINTS points, between evenly drawn representatives beyond.
    """
    count, k = graph.neighbour_NK.shape
    core_N = core_distances(graph, min_samples)
    reach_NK = np.maximum(graph.distance_NK, np.maximum(core_N[:, None], core_N[graph.neighbour_NK]))
    weights = np.maximum(reach_NK.ravel(), SHORTEST).astype(np.float64)
    starts = np.arange(0, count * k + 1, k)
    tree = minimum_spanning_tree(csr_array((weights, graph.neighbour_NK.ravel(), starts), shape=(count, count))).tocoo()
    edges_E3 = np.column_stack([tree.row, tree.col, tree.data])
    parts, part_N = connected_components(tree, directed=False)
    if parts > 1:
        edges_E3 = np.vstack([edges_E3, bridges(points_ND, core_N, part_N, parts)])
    return edges_E3[np.lexsort((edges_E3[:, 1], edges_E3[:, 0], edges_E3[:, 2]))]


def bridges(points_ND: Points, core_N: Points, part_N: NDArray[np.int32], parts: int) -> NDArray[np.float64]:
    """The parts - 1 shortest edges that join the components, (parts - 1, 3)."""
    picked_R = representatives(core_N, part_N, max(1, BRIDGE_POINTS // parts))
    reach_RR = cdist(points_ND[picked_R], points_ND[picked_R])
    reach_RR = np.maximum(reach_RR, np.maximum(core_N[picked_R][:, None], core_N[picked_R][None, :]))
    start_P = np.searchsorted(part_N[picked_R], np.arange(parts))
    between_PP = np.minimum.reduceat(np.minimum.reduceat(reach_RR, start_P, axis=0), start_P, axis=1)
    np.fill_diagonal(between_PP, 0)
    joins = minimum_spanning_tree(np.maximum(between_PP, SHORTEST) * (1 - np.eye(parts))).tocoo()
    ends_P = np.append(start_P[1:], len(picked_R))
    edges = []
    for a, b, weight in zip(joins.row, joins.col, joins.data, strict=True):
        block = reach_RR[start_P[a] : ends_P[a], start_P[b] : ends_P[b]]
        row, column = np.unravel_index(block.argmin(), block.shape)
        edges.append((picked_R[start_P[a] + row], picked_R[start_P[b] + column], weight))
    return np.array(edges, dtype=np.float64)


def representatives(core_N: Points, part_N: NDArray[np.int32], most: int) -> Labels:
    """Up to `most` points of each component, spread evenly from its densest to its sparsest; sorted by component."""
    order_N = np.lexsort((core_N, part_N))
    size_P = np.bincount(part_N)
    spread = [
        part[np.linspace(0, len(part) - 1, min(len(part), most)).astype(np.int64)]
        for part in np.split(order_N, np.cumsum(size_P)[:-1])
    ]
    return np.concatenate(spread)


def linkage(edges_E3: NDArray[np.float64], weight_N: Labels | None = None) -> NDArray[np.float64]:
    """Single-linkage tree in scipy's format; with weights, the sizes of its nodes are sums of weights.

    hdbscan's condensed tree takes sizes from this tree, so weights reach `min_cluster_size` and stability by them.
    """
    tree = np.asarray(linkage_of(np.ascontiguousarray(edges_E3)))
    if weight_N is None:
        return tree
    count = len(tree) + 1
    size = np.concatenate([weight_N.astype(np.float64), np.zeros(count - 1)])
    for row, (left, right) in enumerate(tree[:, :2].astype(np.int64)):
        size[count + row] = size[left] + size[right]
    tree[:, 3] = size[count:]
    return tree


def select(tree: NDArray[np.float64], min_cluster_size: int, method: str) -> Flat:
    """Flat kinds by hdbscan's condensed tree and its `eom` or `leaf` selection; the root is never selected."""
    condensed = condense_tree(tree, min_cluster_size)
    stability = compute_stability(condensed)
    # hdbscan takes the number of points for the largest size of a kind; weights may sum to more.
    largest = int(tree[-1, 3]) + 1
    label_N, strength_N, persistence = get_clusters(condensed, stability, method, False, False, 0.0, largest)
    return Flat(
        np.asarray(label_N, dtype=np.int64),
        np.asarray(strength_N, dtype=np.float32),
        np.asarray(persistence, dtype=np.float32),
        parents(condensed, np.asarray(label_N)),
    )


def parents(condensed: NDArray[np.void], label_N: Labels) -> tuple[int | None, ...]:
    """For each kind the node of the condensed tree above it, or None where that is the root."""
    root = int(condensed["parent"].min())
    above = dict(zip(condensed["child"].tolist(), condensed["parent"].tolist(), strict=True))
    found: list[int | None] = []
    for kind in range(int(label_N.max(initial=-1)) + 1):
        nodes = {above[point] for point in np.flatnonzero(label_N == kind).tolist()}
        while len(nodes) > 1:
            # Nodes are numbered from the root down: the largest number cannot be an ancestor of the others.
            deepest = max(nodes)
            nodes.remove(deepest)
            nodes.add(above[deepest])
        parent = above.get(nodes.pop(), root)
        found.append(None if parent == root else parent)
    return tuple(found)
