"""Bursts: near copies of one another, such as the frames of one visit, which are a single observation.

Density says how often something was *seen anew*; a hundred frames of one parked car say it hardly more than once. So
near copies are represented by one picture, which weighs a little more than one, before any density is estimated.

Who stands for whom depends on the pictures alone, not on the order in which they come and go: the representatives are
the first maximal independent set of the near copies by row number (a picture represents itself unless an earlier
representative is its near copy), and everyone else goes with the earliest that is near. It knows nothing about kinds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.graph import Graph, Rows
from agent.neighbours import Neighbours, Pairs, merged
from agent.shelf import Shelf
from agent.space import Points

# Pictures settled at a time, and rows of a product that is taken at a time.
CHUNK = 1_024
UNSETTLED = -1


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


class Bursts:
    """Pictures, who stands for whom among them, and the graph of those who stand for others or themselves.

    Args:
        near_copy: when two pictures are near copies.
        k: neighbours in the graph.
        widths: of innate embeddings and of points.

    Attributes:
        points_ND: of unit length, in the space of the window.
        leader_N: row of each picture's representative.
    """

    def __init__(self, near_copy: NearCopy, k: int, widths: tuple[int, int]) -> None:
        self._near_copy = near_copy
        self._innate = Shelf(widths[0], np.float16)
        self._table = Neighbours(k, widths[1])
        self._row_R: Rows = np.empty(0, dtype=np.int64)
        self.points_ND: Points = np.empty((0, widths[1]), dtype=np.float32)
        self.leader_N: Rows = np.empty(0, dtype=np.int64)

    # ---------------------------------------------------------------- what is known

    @property
    def row_R(self) -> Rows:
        """Rows of the representatives, ascending."""
        return self._row_R

    @property
    def burst_N(self) -> Rows:
        """For each picture the position in `row_R` of its representative."""
        return np.searchsorted(self._row_R, self.leader_N)

    @property
    def weight_R(self) -> Rows:
        """1 for a picture alone, 1 + floor(log2 m) for m near copies."""
        size_R = np.bincount(self.burst_N, minlength=len(self._row_R))
        return 1 + np.floor(np.log2(np.maximum(1, size_R))).astype(np.int64)

    @property
    def innate_RD(self) -> NDArray[np.float16]:
        """Innate embeddings of the representatives, of unit length, not centred."""
        return self._innate[self._row_R]

    def graph(self) -> Graph:
        """Of the representatives, by their positions in `row_R`."""
        return self._table.graph()

    # ---------------------------------------------------------------- coming and going

    def insert(self, innate_MD: NDArray[np.floating], points_MD: Points, at_M: Rows) -> None:
        """Let pictures in.

        Args:
            innate_MD: innate embeddings of unit length, not centred.
            at_M: the rows that they will have, ascending; those who are there make room.
        """
        row_N = np.delete(np.arange(len(self.leader_N) + len(at_M), dtype=np.int64), at_M)
        nobody_M = np.full(len(at_M), UNSETTLED)
        self._innate.insert(innate_MD, row_N, at_M)
        self.points_ND = merged(self.points_ND, points_MD, row_N, at_M)
        self.leader_N = merged(row_N[self.leader_N], nobody_M, row_N, at_M)
        self._row_R = row_N[self._row_R]
        self._settle()

    def remove(self, row_M: Rows) -> None:
        """Pictures go, those behind them move up, and who has lost a representative gets another."""
        stays_N = np.ones(len(self.leader_N), dtype=np.bool_)
        stays_N[row_M] = False
        number_N = np.where(stays_N, np.cumsum(stays_N) - 1, UNSETTLED)
        self._table.remove(np.flatnonzero(~stays_N[self._row_R]))
        self._innate.remove(stays_N)
        self.points_ND = self.points_ND[stays_N]
        self.leader_N = number_N[self.leader_N[stays_N]]
        self._row_R = number_N[self._row_R[stays_N[self._row_R]]]
        self._settle()

    # ---------------------------------------------------------------- who stands for whom

    def _settle(self) -> None:
        while len(pending_M := np.flatnonzero(self.leader_N == UNSETTLED)):
            self._settle_some(pending_M[:CHUNK])

    def _settle_some(self, row_M: Rows) -> None:
        """Earliest first, each joins its earliest near representative or becomes one."""
        newest = int(np.flatnonzero(self.leader_N != UNSETTLED).max(initial=-1))
        pairs = self._table.meet(self.points_ND[row_M], 1 - self._near_copy.centred)
        first_M = self._earliest(row_M, pairs)
        near_MM = self._near(row_M, row_M)
        crowded_M = np.asarray(near_MM.any(axis=1))
        leads_M = np.zeros(len(row_M), dtype=np.bool_)
        for i, row in enumerate(row_M.tolist()):
            first = int(first_M[i])
            if crowded_M[i]:
                also = np.flatnonzero(near_MM[i] & leads_M)
                first = min(first, int(row_M[also[0]]) if len(also) else row)
            leads_M[i] = first >= row
            self.leader_N[row] = min(first, row)
        self._enter(row_M[leads_M], pairs.of(leads_M))
        for row in row_M[leads_M & (row_M < newest)].tolist():
            self._attract(row)
        self._depose()

    def _earliest(self, row_M: Rows, pairs: Pairs) -> Rows:
        """For each picture the row of its earliest near representative in the graph; a row beyond all if none."""
        first_M = np.full(len(row_M), len(self.leader_N), dtype=np.int64)
        close_E = pairs.apart_E < 1 - self._near_copy.centred
        new_E, old_E = pairs.new_E[close_E], pairs.old_E[close_E]
        if len(new_E):
            new_U, new_E = np.unique(new_E, return_inverse=True)
            old_V, old_E = np.unique(old_E, return_inverse=True)
            near_E = self._alike(row_M[new_U], self._row_R[old_V])[new_E, old_E]
            np.minimum.at(first_M, new_U[new_E[near_E]], self._row_R[old_V[old_E[near_E]]])
        return first_M

    def _enter(self, row_M: Rows, pairs: Pairs) -> None:
        """New representatives come into the graph."""
        row_R = np.sort(np.concatenate([self._row_R, row_M]))
        self._table.insert(self.points_ND[row_M], np.searchsorted(row_R, row_M), pairs)
        self._row_R = row_R

    def _attract(self, row: int) -> None:
        """Later pictures near a new representative go with it; who went with one of them looks for another."""
        later = np.arange(row + 1, len(self.leader_N))
        later = later[self.leader_N[later] > row]
        near = later[self._near(np.array([row]), later)[0]]
        deposed = near[self.leader_N[near] == near]
        self.leader_N[np.isin(self.leader_N, deposed)] = UNSETTLED
        self.leader_N[near] = row

    def _depose(self) -> None:
        """Who no longer represents itself leaves the graph."""
        deposed_M = np.flatnonzero(self.leader_N[self._row_R] != self._row_R)
        if len(deposed_M):
            self._table.remove(deposed_M)
            self._row_R = np.delete(self._row_R, deposed_M)

    def _near(self, row_M: Rows, other_L: Rows) -> NDArray[np.bool_]:
        """Which are near copies of one another, (M, L); nobody is one of itself."""
        close_ML = self.points_ND[row_M] @ self.points_ND[other_L].T > self._near_copy.centred
        close_ML &= row_M[:, None] != other_L[None, :]
        some_L = np.flatnonzero(close_ML.any(axis=0))
        close_ML[:, some_L] &= self._alike(row_M, other_L[some_L])
        return close_ML

    def _alike(self, row_M: Rows, other_L: Rows) -> NDArray[np.bool_]:
        """Whose innate embeddings are near, (M, L)."""
        innate_MD = self._innate[row_M].astype(np.float32)
        alike_ML = np.empty((len(row_M), len(other_L)), dtype=np.bool_)
        for start in range(0, len(other_L), CHUNK):
            part = slice(start, start + CHUNK)
            alike_ML[:, part] = innate_MD @ self._innate[other_L[part]].astype(np.float32).T > self._near_copy.innate
        return alike_ML
