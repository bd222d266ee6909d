"""The graph of nearest neighbours, and diffusion along it.

It knows nothing about kinds or pictures: points of unit length in, rows of neighbours out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from agent.blocks import over_blocks
from agent.space import Points, unit

Rows = NDArray[np.int64]

# Points that move at a time: what fits the caches.
BLOCK = 2_048


@dataclass(frozen=True, slots=True)
class Graph:
    """The k nearest neighbours of each point, itself left out; nearest first, until the points move.

    Attributes:
        neighbour_NK: row numbers.
        distance_NK: Euclidean distances, float32.
    """

    neighbour_NK: Rows
    distance_NK: Points

    def first(self, k: int) -> Graph:
        """The same graph with only the k nearest."""
        return Graph(self.neighbour_NK[:, :k], self.distance_NK[:, :k])


def nearest(base_ND: Points, query_MD: Points, k: int) -> tuple[Rows, Points]:
    """Row numbers and cosines (M, k) of the k nearest points of the base to each query; exact."""
    index = faiss.IndexFlatIP(base_ND.shape[1])
    index.add(np.ascontiguousarray(base_ND))
    cosine_MK, row_MK = index.search(np.ascontiguousarray(query_MD), min(k, len(base_ND)))
    return row_MK, cosine_MK


def neighbour_graph(points_ND: Points, k: int) -> Graph:
    """The exact graph of min(k, N - 1) neighbours among points of unit length."""
    count = len(points_ND)
    k = min(k, count - 1)
    if k < 1:
        return Graph(np.empty((count, 0), dtype=np.int64), np.empty((count, 0), dtype=np.float32))
    row_NK, cosine_NK = nearest(points_ND, points_ND, k + 1)
    itself_NK = row_NK == np.arange(count)[:, None]
    # Among copies a point need not find itself: then the farthest goes.
    itself_NK[~itself_NK.any(axis=1), -1] = True
    neighbour_NK = row_NK[~itself_NK].reshape(count, k)
    return Graph(neighbour_NK, euclidean(cosine_NK[~itself_NK].reshape(count, k)))


def euclidean(cosine: Points) -> Points:
    """Distance between points of unit length from their cosine."""
    return np.sqrt(np.maximum(0, 2 - 2 * cosine), dtype=np.float32)


def diffuse(points_ND: Points, neighbour_NK: Rows, steps: int, alike_N: Rows | None = None) -> Points:
    """Move each point to the normalised mean of its neighbours, `steps` times over; (N, D) float32.

    Args:
        alike_N: equal for points that probably lie close together. They are laid side by side meanwhile, which makes
            them quicker to gather and changes nothing else.
    """
    if neighbour_NK.shape[1] == 0 or steps == 0:
        return points_ND
    if alike_N is not None:
        order_N = np.argsort(alike_N, kind="stable")
        place_N = np.empty_like(order_N)
        place_N[order_N] = np.arange(len(order_N))
        return diffuse(points_ND[order_N], place_N[neighbour_NK[order_N]], steps)[place_N]
    neighbour_KN = np.ascontiguousarray(neighbour_NK.T)
    moved_ND, spare_ND = np.empty_like(points_ND), np.empty_like(points_ND)
    for _ in range(steps):
        over_blocks(partial(_move, points_ND, neighbour_KN, moved_ND), len(points_ND), BLOCK)
        points_ND, moved_ND, spare_ND = moved_ND, spare_ND, moved_ND
    return points_ND


def _move(points_ND: Points, neighbour_KN: Rows, moved_ND: Points, rows: slice) -> None:
    """One step of some rows: one neighbour of all of them at a time, in half of the time of a sparse matrix."""
    sum_BD, next_BD = moved_ND[rows], np.empty_like(moved_ND[rows])
    points_ND.take(neighbour_KN[0, rows], axis=0, out=sum_BD, mode="clip")
    for neighbour_N in neighbour_KN[1:]:
        sum_BD += points_ND.take(neighbour_N[rows], axis=0, out=next_BD, mode="clip")  # other modes copy once more
    sum_BD[:] = unit(sum_BD)


def walk_along(neighbour_NK: Rows) -> csr_array:
    """The random walk that goes to each neighbour alike, (N, N); narrow numbers, since it is memory that it costs."""
    count, k = neighbour_NK.shape
    starts = np.arange(0, count * k + 1, k, dtype=np.int32)
    weights = np.full(count * k, 1 / k, dtype=np.float32)
    return csr_array((weights, neighbour_NK.ravel().astype(np.int32), starts), shape=(count, count))


def measured(points_ND: Points, graph: Graph) -> Graph:
    """The same neighbours after the points moved, in the order in which they were: their distances measured anew."""
    count, k = graph.neighbour_NK.shape
    points_ND = np.ascontiguousarray(points_ND, dtype=np.float32)
    one_E, other_E = np.repeat(np.arange(count), k), np.ascontiguousarray(graph.neighbour_NK).ravel()
    square_E = np.empty(count * k, dtype=np.float32)
    here, one, other, found = (faiss.swig_ptr(array) for array in (points_ND, one_E, other_E, square_E))
    faiss.pairwise_indexed_L2sqr(  # type: ignore[attr-defined]  # of the compiled part, which mypy does not see
        points_ND.shape[1], len(square_E), here, one, here, other, found
    )
    return Graph(graph.neighbour_NK, np.sqrt(square_E).reshape(count, k))
