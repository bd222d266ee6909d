"""Bursts: near copies of one another, such as the frames of one visit, which are a single observation.

Density says how often something was *seen anew*; a hundred frames of one parked car say it hardly more than once. So
near copies are represented by one picture, which weighs a little more than one, before any density is estimated. It
knows nothing about kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.graph import Graph, Rows
from agent.space import Points


@dataclass(frozen=True, slots=True)
class NearCopy:
    """Two pictures are near copies when both cosines are above their bounds.

    One alone will not do: where the network knows little of a domain all innate embeddings are alike before they are
    centred, and in a window of few kinds all members of a kind are alike after.

    Attributes:
        innate: of innate embeddings as they are.
        centred: of points in the space of the window.
    """

    innate: float
    centred: float


@dataclass(frozen=True, slots=True)
class Bursts:
    """Who stands for whom.

    Attributes:
        row_R: rows of the representatives, ascending.
        burst_N: for each picture the position in `row_R` of its representative.
        weight_R: 1 for a picture alone, 1 + floor(log2 m) for m near copies.
    """

    row_R: Rows
    burst_N: Rows
    weight_R: Rows


def gather_bursts(innate_ND: Points, near_copy: NearCopy, graph_of: Callable[[Rows], Graph]) -> tuple[Bursts, Graph]:
    """Gather pictures that are near copies; returns the bursts and the graph among their representatives.

    Greedy in the order of rows: a picture joins the earliest representative that is its neighbour and near copy, so
    that slowly changing frames do not chain into one. Repeated until nobody joins, because a burst may be larger than
    the k neighbours that the graph shows.

    Args:
        innate_ND: innate embeddings of unit length, not centred, (N, D).
        near_copy: when two pictures are near copies.
        graph_of: the graph of neighbours among the given rows.
    """
    leader_N = np.arange(len(innate_ND), dtype=np.int64)
    rows = leader_N.copy()
    while True:
        graph = graph_of(rows)
        joined = join(innate_ND[rows], near_copy, graph)
        if joined is None:
            return numbered(leader_N), graph
        into = np.arange(len(innate_ND), dtype=np.int64)
        into[rows] = rows[joined]
        leader_N = into[leader_N]
        rows = np.unique(leader_N)


def join(innate_RD: Points, near_copy: NearCopy, graph: Graph) -> Rows | None:
    """For each row the row it joins (itself if none); None when nobody joins anybody."""
    start_E, end_E = close_pairs(innate_RD, near_copy, graph)
    if len(start_E) == 0:
        return None
    joined_R = np.full(len(innate_RD), -1, dtype=np.int64)
    near: dict[int, list[int]] = {}
    for start, end in zip(start_E.tolist(), end_E.tolist(), strict=True):
        near.setdefault(start, []).append(end)
        near.setdefault(end, []).append(start)
    for row in sorted(near):
        if joined_R[row] < 0:
            joined_R[row] = row
            free = [other for other in near[row] if joined_R[other] < 0]
            joined_R[free] = row
    alone_R = joined_R < 0
    joined_R[alone_R] = np.flatnonzero(alone_R)
    return joined_R


def close_pairs(innate_RD: Points, near_copy: NearCopy, graph: Graph) -> tuple[Rows, Rows]:
    """Edges of the graph whose ends are near copies."""
    starts, ends = [], []
    widest = np.sqrt(max(0.0, 2 - 2 * near_copy.centred))
    for column_R, distance_R in zip(graph.neighbour_NK.T, graph.distance_NK.T, strict=True):
        start_M = np.flatnonzero(distance_R < widest)
        end_M = column_R[start_M]
        close_M = np.einsum("md,md->m", innate_RD[start_M], innate_RD[end_M]) > near_copy.innate
        starts.append(start_M[close_M])
        ends.append(end_M[close_M])
    if not starts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(starts), np.concatenate(ends)


def numbered(leader_N: NDArray[np.int64]) -> Bursts:
    """Bursts from the row number of each picture's representative."""
    row_R, burst_N, size_R = np.unique(leader_N, return_inverse=True, return_counts=True)
    return Bursts(row_R, burst_N.astype(np.int64), 1 + np.floor(np.log2(size_R)).astype(np.int64))
