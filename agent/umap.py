"""UMAP (McInnes, Healy and Melville 2018) to two dimensions, along a graph that is given, an epoch at a time.

The reference takes the edges one by one, drawn by their weight. Here each epoch sums what all edges are expected to
pull and what a few others, drawn at random, push, and Adam makes the step: the batch mode of uwot (Melville). Whole
arrays need no compiler at run time, and between epochs the caller may do something else. It knows nothing about
pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from agent.graph import Graph
from agent.space import Points

# Of the closeness 1 / (1 + A d^2B) on the map, as umap-learn fits them to `min_dist` 0.1 and `spread` 1.
A, B = 1.577, 0.895
# Others that push for each edge that pulls, and how many are really drawn for a point in an epoch.
NEGATIVES, DRAWN = 5, 8
# No coordinate of one pull or push is larger.
CLIP = 4.0
# Keeps the push of what lies in one place finite.
NEAR = 1e-3
ADAM_FIRST, ADAM_SECOND, ADAM_EPSILON = 0.5, 0.9, 1e-7
# Halvings by which the width of a neighbourhood is found, and the least share of the mean distance that it may be.
HALVINGS, LEAST_WIDTH = 40, 1e-3
# Points whose forces are summed at a time: what fits the caches.
BLOCK = 2_048


class Umap:
    """A map in the making.

    Args:
        graph: of nearest neighbours, N points, at least one neighbour each unless N is 1.
        place_N2: where the points begin.
        epochs, rate: steps of at most about `rate`, less and less, in units of the map (near neighbours lie about 0.1
            apart, a map of thousands is 10 to 30 across).
        rng: draws who pushes.

    Attributes:
        place_N2: where they are now.
    """

    def __init__(self, graph: Graph, place_N2: Points, epochs: int, rate: float, rng: np.random.Generator) -> None:
        self.place_N2: Points = place_N2.astype(np.float32)
        self._union = fuzzy_union(graph)
        self._epochs, self._rate, self._rng = (epochs if len(place_N2) > 1 else 0), rate, rng
        self._done = 0
        self._first_N2, self._second_N2 = np.zeros_like(self.place_N2), np.zeros_like(self.place_N2)

    def step(self) -> bool:
        """One epoch; False, and nothing done, when there are no more."""
        if self._done == self._epochs:
            return False
        force_N2 = self._forces()
        self._first_N2 += (1 - ADAM_FIRST) * (force_N2 - self._first_N2)
        self._second_N2 += (1 - ADAM_SECOND) * (force_N2**2 - self._second_N2)
        rate = self._rate * (1 - self._done / self._epochs)
        self._done += 1
        first_N2 = self._first_N2 / (1 - ADAM_FIRST**self._done)
        second_N2 = self._second_N2 / (1 - ADAM_SECOND**self._done)
        self.place_N2 += rate * first_N2 / (np.sqrt(second_N2) + ADAM_EPSILON)
        return True

    def _forces(self) -> Points:
        force_N2 = np.empty_like(self.place_N2)
        for start in range(0, len(force_N2), BLOCK):
            block = slice(start, min(start + BLOCK, len(force_N2)))
            force_N2[block] = self._forces_on(block)
        return force_N2

    def _forces_on(self, block: slice) -> Points:
        place_B2, starts_B = self.place_N2[block], self._union.indptr[block.start : block.stop + 1]
        edges = slice(int(starts_B[0]), int(starts_B[-1]))
        weight_E, starts_B = self._union.data[edges], starts_B - starts_B[0]
        gap_E2 = np.repeat(place_B2, np.diff(starts_B), axis=0) - self.place_N2[self._union.indices[edges]]
        # an edge is drawn from both its ends, and each time both move
        pull_E2 = pull(gap_E2) * (2 * weight_E)[:, None]
        degree_B = np.add.reduceat(weight_E, starts_B[:-1])
        other_BM = self._rng.integers(len(self.place_N2), size=(len(place_B2), DRAWN))
        push_B2 = push(place_B2[:, None] - self.place_N2[other_BM]).sum(axis=1)
        push_B2 *= (NEGATIVES / DRAWN * degree_B)[:, None]
        return np.asarray(np.add.reduceat(pull_E2, starts_B[:-1], axis=0) + push_B2, dtype=np.float32)


def pull(gap_E2: Points) -> Points:
    """The gradient of log closeness, by the gap to a neighbour; (..., 2)."""
    square_E1 = (gap_E2**2).sum(axis=-1, keepdims=True)
    power_E1 = square_E1**B
    gradient_E2 = -2 * A * B * power_E1 / (np.maximum(square_E1, 1e-12) * (1 + A * power_E1)) * gap_E2
    return np.asarray(np.clip(gradient_E2, -CLIP, CLIP))


def push(gap_E2: Points) -> Points:
    """The gradient of log (1 - closeness), by the gap to any other; (..., 2)."""
    square_E1 = (gap_E2**2).sum(axis=-1, keepdims=True)
    gradient_E2 = 2 * B / ((NEAR + square_E1) * (1 + A * square_E1**B)) * gap_E2
    return np.asarray(np.clip(gradient_E2, -CLIP, CLIP))


def fuzzy_union(graph: Graph) -> csr_array:
    """How much each two points are neighbours (N, N), symmetric, 0 to 1; section 3.1 of the paper.

    The nearest neighbour of a point counts fully, others by exp(-(distance - nearest) / width), with the width at which
    they sum to log2(k + 1); k + 1 is what umap-learn calls `n_neighbors`, since it counts the point itself.
    """
    count, k = graph.neighbour_NK.shape
    gap_NK = np.maximum(graph.distance_NK - graph.distance_NK[:, :1], 0)
    width_N = neighbourhood_width(gap_NK, float(np.log2(k + 1)))
    width_N = np.maximum(width_N, max(LEAST_WIDTH * float(graph.distance_NK.mean()), 1e-12) if k else 1.0)
    share_NK = np.exp(-gap_NK / width_N[:, None]).astype(np.float32)
    starts = np.arange(0, count * k + 1, k) if k else np.zeros(count + 1, dtype=np.int64)
    one_way = csr_array((share_NK.ravel(), graph.neighbour_NK.ravel(), starts), shape=(count, count))
    other_way = one_way.T.tocsr()
    return (one_way + other_way - one_way.multiply(other_way)).tocsr()


def neighbourhood_width(gap_NK: Points, wanted: float) -> NDArray[np.float64]:
    """Widths (N,) at which exp(-gap / width) sums to what is wanted, by halving; near 0 where any width gives more."""
    low_N, high_N, width_N = np.zeros(len(gap_NK)), np.full(len(gap_NK), np.inf), np.ones(len(gap_NK))
    for _ in range(HALVINGS):
        too_wide_N = np.exp(-gap_NK / width_N[:, None]).sum(axis=1) > wanted
        high_N, low_N = np.where(too_wide_N, width_N, high_N), np.where(too_wide_N, low_N, width_N)
        width_N = np.where(np.isinf(high_N), 2 * width_N, (low_N + high_N) / 2)
    return width_N
