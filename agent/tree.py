"""HDBSCAN* on a sparse graph: mutual reachability, spanning tree, selection of flat kinds from the condensed tree.

The tree is hdbscan's; only the distances come from a graph of neighbours instead of all pairs (Campello et al.
2013; the sparse graph as in FISHDBC, Dell'Amico 2019). It knows nothing about pictures or the choice of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster._hierarchical_fast import single_linkage_label

from agent.condensed import ROOT, Condensed, condense, kind_of_nodes
from agent.graph import Graph
from agent.space import Points

Labels = NDArray[np.int64]

# How much more a kind's stability counts for having been there in the round before.
INERTIA = 0.5

NO_EDGE = np.uint64(2**64 - 1)
EDGE_BITS = np.uint64(32)
EDGE_MASK = np.uint64(2**32 - 1)

# scipy takes a weight of nothing for no edge, and a density is one divided by it.
SHORTEST = 1e-6
# Points that look for bridges between components of the graph, all components together: bounds time and memory.
BRIDGE_POINTS = 2_048


@dataclass(frozen=True, slots=True)
class Flat:
    """Kinds selected from a condensed tree.

    Attributes:
        label_N: 0 .. K-1, or -1 for noise.
        persistence_K: stability score in [0, 1] of each kind, of hdbscan.
        parent_K: the node of the condensed tree above each kind; None where that is the root.
    """

    label_N: Labels
    persistence_K: Points
    parent_K: tuple[int | None, ...]


def core_distances(graph: Graph, min_samples: int) -> Points:
    """Distance of each point to its min_samples-th neighbour, as hdbscan counts them (itself left out)."""
    place = min(min_samples, graph.distance_NK.shape[1]) - 1
    return np.asarray(np.partition(graph.distance_NK, place, axis=1)[:, place])


def spanning_tree(points_ND: Points, graph: Graph, min_samples: int) -> NDArray[np.float64]:
    """Minimum spanning tree of the mutual-reachability graph, (N - 1, 3): from, to, weight; shortest first.

    Components of the graph are joined by the shortest mutual-reachability edge between their points: exact up to
    BRIDGE_POINTS points, between evenly drawn representatives beyond.
    """
    core_N = core_distances(graph, min_samples)
    reach_NK = np.maximum(graph.distance_NK, np.maximum(core_N[:, None], core_N[graph.neighbour_NK]))
    edges_E3, part_N = forest(graph.neighbour_NK, np.maximum(reach_NK, SHORTEST))
    parts = int(part_N.max()) + 1
    if parts > 1:
        edges_E3 = np.vstack([edges_E3, bridges(points_ND, core_N, part_N, parts)])
        edges_E3 = edges_E3[np.argsort(edges_E3[:, 2], kind="stable")]
    return edges_E3


def forest(neighbour_NK: Labels, weight_NK: Points) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Minimum spanning forest of a graph, edges (E, 3), shortest first, and the component of each point.

    Boruvka (1926): every component takes its shortest edge outwards, until none has one. At 50,000 points of 30
    neighbours a third of the time of scipy's, which sorts all edges first (`benchmarks.steps`). Edges are whole
    numbers of which the smallest is the shortest: the bits of the weight, then the number of the edge, so that no two
    are alike and no cycle can close.

    Args:
        weight_NK: float32, not negative.
    """
    count, k = neighbour_NK.shape
    start_E, end_E = np.repeat(np.arange(count, dtype=np.int32), k), neighbour_NK.ravel().astype(np.int32)
    bits_E = np.ascontiguousarray(weight_NK, dtype=np.float32).ravel().view(np.uint32).astype(np.uint64)
    key_E = (bits_E << EDGE_BITS) | np.arange(count * k, dtype=np.uint64)
    part_N, parts = np.arange(count, dtype=np.int32), count
    from_E, to_E, key_F, taken = start_E, end_E, key_E, [np.empty(0, dtype=np.uint64)]
    while len(key_F):
        shortest_P = np.full(parts, NO_EDGE)
        np.minimum.at(shortest_P, from_E, key_F)
        np.minimum.at(shortest_P, to_E, key_F)
        key_T = np.sort(shortest_P[shortest_P != NO_EDGE])
        key_T = key_T[np.flatnonzero(np.diff(key_T, prepend=NO_EDGE))]
        taken.append(key_T)
        edge_T = (key_T & EDGE_MASK).astype(np.int64)
        ends = part_N[start_E[edge_T]], part_N[end_E[edge_T]]
        joins = csr_array((np.ones(len(edge_T)), ends), shape=(parts, parts))
        parts, into_P = connected_components(joins, directed=False)
        part_N, from_E, to_E = into_P[part_N], into_P[from_E], into_P[to_E]
        apart_F = np.flatnonzero(from_E != to_E)
        from_E, to_E, key_F = from_E[apart_F], to_E[apart_F], key_F[apart_F]
    edge_T = (np.sort(np.concatenate(taken)) & EDGE_MASK).astype(np.int64)
    return np.column_stack([start_E[edge_T], end_E[edge_T], weight_NK.ravel()[edge_T]]).astype(np.float64), part_N


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

    The condensed tree takes sizes from this tree, so weights reach `min_cluster_size` and stability by them.
    """
    tree = np.asarray(single_linkage_label(np.ascontiguousarray(edges_E3)))
    if weight_N is not None and len(tree) and (weight_N != 1).any():
        tree[:, 3] = sizes(tree, weight_N)
    return tree


def sizes(tree: NDArray[np.float64], weight_N: Labels) -> NDArray[np.float64]:
    """What the points below each node of a single-linkage tree weigh together, (N - 1,).

    With the points in order, left branches before right ones, a node is a run of them. It begins as far behind the node
    above it as the left branch there is long; so this is summed on the way up, each time twice as far.
    """
    count, root = len(tree) + 1, 2 * len(tree)
    branch_B2, length_B = tree[:, :2].astype(np.int64), tree[:, 3].astype(np.int64)
    above = np.full(root + 1, root, dtype=np.int64)
    above[branch_B2] = np.arange(count, root + 1)[:, None]
    start = np.zeros(root + 1, dtype=np.int64)
    start[branch_B2[:, 1]] = np.append(np.ones(count, dtype=np.int64), length_B)[branch_B2[:, 0]]
    while (above != root).any():
        start += start[above]
        above = above[above]
    in_order_N = np.empty(count, dtype=np.int64)
    in_order_N[start[:count]] = weight_N
    before = np.concatenate([[0], np.cumsum(in_order_N)])
    return np.asarray(before[start[count:] + length_B] - before[start[count:]], dtype=np.float64)


def select(tree: NDArray[np.float64], min_cluster_size: int, method: str, before_N: Labels | None = None) -> Flat:
    """Flat kinds from the condensed tree by hdbscan's `eom` or `leaf` selection; the root is never selected.

    Args:
        before_N: the kind that each point had in the round before, -1 for none; these get the benefit of the doubt.
    """
    condensed = condense(tree, min_cluster_size)
    stability_T = condensed.stability_T()
    if before_N is not None:
        stability_T *= favours(condensed, before_N)
    kind_T = kind_of_nodes(condensed, stability_T, method)
    label_N = kind_T[condensed.node_N]
    kinds, top_K = np.unique(kind_T, return_index=True)
    top_K = top_K[kinds >= 0]
    size_K = np.bincount(label_N[label_N >= 0], minlength=len(top_K))
    persistence_K = stability_T[top_K] / (size_K * condensed.density_N.max())
    parents = tuple(None if parent == ROOT else parent for parent in condensed.parent_T[top_K].tolist())
    return Flat(label_N, persistence_K.astype(np.float32), parents)


def favours(condensed: Condensed, before_N: Labels) -> NDArray[np.float64]:
    """For each node of the condensed tree the factor by which its stability counts more for being what was known, (T,).

    1 + INERTIA for the very members of a kind of the round before, falling to 1 for a node that shares no more than
    half of what the two hold together; points that had no kind say nothing. Of two selections nearly as good, the one
    that keeps what is there so wins in every round, instead of either by turns.
    """
    known_M = np.flatnonzero(before_N >= 0)
    held_K = np.bincount(before_N[known_M])
    nodes, kinds = len(condensed.parent_T), len(held_K)
    both_M = condensed.node_N[known_M] * kinds + before_N[known_M]
    shared_TK = np.bincount(both_M, minlength=nodes * kinds).reshape(nodes, kinds)
    # Nodes are numbered from the root down, so that all below a node have been added up before it is its turn.
    for node in range(nodes - 1, ROOT, -1):
        shared_TK[condensed.parent_T[node]] += shared_TK[node]
    union_TK = shared_TK.sum(axis=1, keepdims=True) + held_K - shared_TK
    like_T = (shared_TK / np.maximum(union_TK, 1)).max(axis=1, initial=0)
    return np.asarray(1 + INERTIA * np.maximum(0, 2 * like_T - 1))
