"""The condensed tree: from the order in which points hang together to kinds that are dense for long.

It is hdbscan's (Campello et al. 2013; McInnes and Healy 2017), with the same kinds for the same tree
(`tests/agent/test_condensed.py`), but condensed by whole arrays instead of node by node: whoever asks for the node
above it asks for all points at once, each time twice as far up. It knows nothing about points, distances or rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hdbscan._hdbscan_tree import get_clusters
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]

ROOT = 0
# Of hdbscan's condensed tree.
ROW = [("parent", np.intp), ("child", np.intp), ("lambda_val", float), ("child_size", np.intp)]


@dataclass(frozen=True, slots=True)
class Condensed:
    """T nodes that are numbered from the root down, so that the one above has the smaller number; and N points.

    Attributes:
        parent_T: the node above each; -1 for the root.
        birth_T: density (1 / distance) at which it begins; 0 for the root.
        weight_T: what its points weigh together where it begins.
        node_N: the node out of which each point falls at last.
        density_N: at which it does.
    """

    parent_T: Labels
    birth_T: Floats
    weight_T: Floats
    node_N: Labels
    density_N: Floats

    def stability_T(self) -> Floats:
        """Excess of mass of each node: how long its members stay, summed."""
        parent_C, birth_C, weight_C = self.parent_T[1:], self.birth_T[1:], self.weight_T[1:]
        stays_N = self.density_N - self.birth_T[self.node_N]
        stays_C = (birth_C - self.birth_T[parent_C]) * weight_C
        nodes = len(self.parent_T)
        return np.asarray(np.bincount(self.node_N, stays_N, nodes) + np.bincount(parent_C, stays_C, nodes))


def condense(tree: Floats, min_cluster_size: int) -> Condensed:
    """From a single-linkage tree in scipy's format, whose distances are above 0.

    A node of the tree lives on in the larger of its branches, unless both weigh at least `min_cluster_size`.
    """
    count, every = len(tree) + 1, 2 * len(tree) + 1
    branch_B2, root = tree[:, :2].astype(np.int64), every - 1
    above = np.full(every, root, dtype=np.int64)
    above[branch_B2] = np.arange(count, every)[:, None]
    large = np.concatenate([np.zeros(count, dtype=np.bool_), tree[:, 3] >= min_cluster_size])
    large[root] = True
    splits = np.concatenate([np.zeros(count, dtype=np.bool_), large[branch_B2].all(axis=1)])
    begins = splits[above]
    begins[root] = True
    large_L, number = np.flatnonzero(large), np.cumsum(large) - 1
    start_L = large_L[highest(number[np.where(begins, np.arange(every), above)[large_L]])]
    leaves_N = highest(np.where(large, np.arange(every), above))[:count]
    top_T = np.flatnonzero(begins)[::-1]
    node_of = np.full(every, -1, dtype=np.int64)
    node_of[top_T] = np.arange(len(top_T))
    parent_T, birth_T = node_of[start_L[number[above[top_T]]]], 1 / tree[above[top_T] - count, 2]
    parent_T[ROOT], birth_T[ROOT] = -1, 0
    return Condensed(
        parent_T, birth_T, tree[top_T - count, 3], node_of[start_L[number[leaves_N]]], 1 / tree[leaves_N - count, 2]
    )


def highest(up_X: Labels) -> Labels:
    """Where each arrives that goes up as far as it gets, (X,); who is there already goes to itself."""
    while not np.array_equal(further_X := up_X[up_X], up_X):
        up_X = further_X
    return up_X


def kind_of_nodes(condensed: Condensed, stability_T: Floats, method: str) -> Labels:
    """The kind in which each node lies, (T,), numbered from the root down; -1 for none. The selection is hdbscan's own.

    It is asked about the nodes alone, with one point for each, since the points of a node share its kind.

    Args:
        method: `eom` or `leaf`.
    """
    nodes, node_T = len(condensed.parent_T), np.arange(len(condensed.parent_T))
    # A node comes after the one above it has its point: hdbscan's union by rank then keeps the upper one in front.
    row_T2 = np.zeros((nodes, 2), dtype=ROW)
    row_T2["parent"] = nodes + np.stack([condensed.parent_T, node_T], axis=1)
    row_T2["child"] = np.stack([nodes + node_T, node_T], axis=1)
    row_T2["lambda_val"] = condensed.birth_T[:, None]
    row_T2["child_size"] = np.stack([condensed.weight_T, np.ones(nodes)], axis=1)
    stability = {nodes + node: value for node, value in enumerate(stability_T.tolist())}
    # Without it hdbscan takes the number of points for the largest size of a kind; weights sum to more.
    largest = int(condensed.weight_T[ROOT]) + 1
    kind_T, _, _ = get_clusters(row_T2.ravel()[1:], stability, method, False, False, 0.0, largest)
    return np.asarray(kind_T, dtype=np.int64)
