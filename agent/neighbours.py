"""The exact graph of nearest neighbours, kept while points come and go.

It knows nothing about kinds, bursts or pictures: points of unit length in, rows of neighbours out, always those that a
search from nothing would find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.blocks import over_blocks
from agent.graph import Graph, Rows, nearest
from agent.space import Points

Entries = NDArray[np.uint64]
"""Neighbours as whole numbers that sort by distance: the bits of 1 - cosine (never negative), then the row number."""

EMPTY = np.uint64(2**64 - 1)
ROW_BITS = np.uint64(32)
ROW_MASK = np.uint64(2**32 - 1)
FARTHEST = np.float32(2)
"""1 - cosine of opposite points: a row that is complete up to here holds everyone."""

# Neighbours kept beyond k: what a row may lose before it is searched anew.
SPARE = 34
# Residents that newcomers are compared with at a time, and rows of neighbours looked at: what fits the caches.
TILE = 512
# Residents by which it is guessed how far a newcomer's neighbours reach, and how many are to be found by the guess.
SAMPLE = 2_048
GENEROUS = 3


@dataclass(frozen=True, slots=True)
class Pairs:
    """Newcomers and residents that are close to each other.

    Attributes:
        new_E: row among the newcomers.
        old_E: row among the residents.
        apart_E: 1 - cosine, float32, not negative.
        bound_M: every resident that is closer to a newcomer than this is among the pairs.
    """

    new_E: Rows
    old_E: Rows
    apart_E: Points
    bound_M: Points

    def of(self, chosen_M: NDArray[np.bool_]) -> Pairs:
        """The pairs of some newcomers, numbered among themselves."""
        number_M = np.cumsum(chosen_M) - 1
        mine_E = chosen_M[self.new_E]
        return Pairs(number_M[self.new_E[mine_E]], self.old_E[mine_E], self.apart_E[mine_E], self.bound_M[chosen_M])


class Neighbours:
    """The k nearest neighbours of every resident.

    A row keeps up to `k + spare` neighbours and knows how far it is complete. Whoever comes nearer than that enters it,
    whoever goes leaves it, and what is then left within that reach is exact; only a row that has lost so many that
    fewer than k are left is searched anew.

    Args:
        k: neighbours wanted.
        dims: of the points.
    """

    def __init__(self, k: int, dims: int, spare: int = SPARE) -> None:
        self._k, self._width = k, k + spare
        self._points_ND: Points = np.empty((0, dims), dtype=np.float32)
        self._entry_NW: Entries = np.empty((0, self._width), dtype=np.uint64)
        self._reach_N: Points = np.empty(0, dtype=np.float32)

    def __len__(self) -> int:
        return len(self._points_ND)

    # ---------------------------------------------------------------- coming

    def meet(self, points_MD: Points, within: float = 0.0) -> Pairs:
        """Who of the residents is close: to be a neighbour, to get a new neighbour, or closer than `within`.

        Args:
            points_MD: newcomers, of unit length.
            within: 1 - cosine.
        """
        nobody = np.empty(0, dtype=np.int64)
        if len(self) == 0:
            bound_M = np.full(len(points_MD), FARTHEST, dtype=np.float32)
            return Pairs(nobody, nobody, np.empty(0, dtype=np.float32), bound_M)
        floor_N = 1 - np.maximum(self._reach_N, np.float32(within))
        stride = max(1, len(self) // SAMPLE)
        bound_M = guessed(points_MD @ self._points_ND[::stride].T, self._width, stride)
        new_E, old_E, cosine_E = self._closer(points_MD, bound_M, floor_N)
        found_M = np.bincount(new_E[cosine_E > bound_M[new_E]], minlength=len(points_MD))
        short_S = np.flatnonzero((found_M <= self._width) & (bound_M > -FARTHEST))
        if len(short_S):
            bound_M[short_S] = lowest_wanted(points_MD[short_S] @ self._points_ND.T, self._width)
            again_E, old_A, cosine_A = self._closer(points_MD[short_S], bound_M[short_S], floor_N)
            held_E = found_M[new_E] > self._width
            new_E = np.concatenate([new_E[held_E], short_S[again_E]])
            old_E, cosine_E = (np.concatenate([old_E[held_E], old_A]), np.concatenate([cosine_E[held_E], cosine_A]))
        return Pairs(new_E, old_E, np.maximum(0, 1 - cosine_E), np.minimum(1 - bound_M, FARTHEST))

    def _closer(self, points_MD: Points, bound_M: Points, floor_N: Points) -> tuple[Rows, Rows, Points]:
        """Newcomers, residents and cosines of all pairs whose cosine is above the bound of either."""

        def close(tile: slice) -> tuple[Rows, Rows, Points]:
            cosine_MT = points_MD @ self._points_ND[tile].T
            hit_MT = cosine_MT > bound_M[:, None]
            hit_MT |= cosine_MT > floor_N[tile]
            hit_E = np.flatnonzero(hit_MT)
            new_E, old_E = np.divmod(hit_E, cosine_MT.shape[1])
            return new_E, old_E + tile.start, cosine_MT.ravel()[hit_E]

        new, old, cosine = zip(*over_blocks(close, len(self), TILE), strict=True)
        return np.concatenate(new), np.concatenate(old), np.concatenate(cosine)

    def insert(self, points_MD: Points, at_M: Rows, pairs: Pairs) -> None:
        """Let newcomers in.

        Args:
            at_M: the rows that they will have, ascending; residents make room.
            pairs: what `meet` said of them.
        """
        total = len(self) + len(points_MD)
        row_N = np.delete(np.arange(total, dtype=np.int64), at_M)
        among_ME, reach_M = self._among(points_MD, at_M)
        self._points_ND = merged(self._points_ND, points_MD, row_N, at_M)
        before_N = np.arange(len(row_N), dtype=np.int64)
        make_room = not np.array_equal(row_N, before_N)
        entry_NW = renumbered(self._entry_NW, before_N, row_N) if make_room else self._entry_NW
        self._entry_NW = merged(entry_NW, among_ME, row_N, at_M)
        self._reach_N = merged(self._reach_N, np.minimum(pairs.bound_M, reach_M), row_N, at_M)
        new_E, old_E = at_M[pairs.new_E], row_N[pairs.old_E]
        self._add(new_E, old_E, pairs.apart_E)
        self._add(old_E, new_E, pairs.apart_E)

    def _among(self, points_MD: Points, at_M: Rows) -> tuple[Entries, Points]:
        """Rows of the newcomers that hold each other, and how far these are complete."""
        apart_MM = np.maximum(0, 1 - points_MD @ points_MD.T)
        entry_MM = entries(apart_MM, np.broadcast_to(at_M, apart_MM.shape))
        np.fill_diagonal(entry_MM, EMPTY)
        short = self._width + 1 - len(at_M)
        if short > 0:
            entry_MM = np.pad(entry_MM, ((0, 0), (0, short)), constant_values=EMPTY)
        entry_MM = np.partition(entry_MM, self._width, axis=1)[:, : self._width + 1]
        entry_MM.sort(axis=1)
        cut_M = entry_MM[:, self._width] != EMPTY
        entry_MW = entry_MM[:, : self._width]
        return entry_MW, np.where(cut_M, aparts(entry_MW[:, -1]), FARTHEST)

    def _add(self, row_E: Rows, other_E: Rows, apart_E: Points) -> None:
        """Merge neighbours into rows, as far as these reach; each keeps the nearest."""
        near_E = np.flatnonzero(apart_E <= self._reach_N[row_E])
        if len(near_E) == 0:
            return
        row_E, entry_E = by_row(row_E[near_E], entries(apart_E[near_E], other_E[near_E]))
        row_T, start_T, count_T = np.unique(row_E, return_index=True, return_counts=True)
        # Rows that get about as many are widened together, since a few get far more than most.
        order_T = np.argsort(count_T, kind="stable")

        def widen(part: slice) -> None:
            mine_B = order_T[part]
            row_B, start_B = row_T[mine_B], start_T[mine_B]
            count_B = np.minimum(count_T[mine_B], self._width + 1)
            extra_BX = np.full((len(mine_B), count_B.max()), EMPTY)
            held_BX = np.arange(extra_BX.shape[1]) < count_B[:, None]
            extra_BX[held_BX] = entry_E[(start_B[:, None] + np.arange(extra_BX.shape[1]))[held_BX]]
            together_BY = np.hstack([self._entry_NW[row_B], extra_BX])
            together_BY.sort(axis=1)
            self._entry_NW[row_B] = together_BY[:, : self._width]
            cut_B = together_BY[:, self._width] != EMPTY
            self._reach_N[row_B[cut_B]] = aparts(together_BY[cut_B, self._width - 1])

        over_blocks(widen, len(row_T), TILE)

    # ---------------------------------------------------------------- going

    def remove(self, row_M: Rows) -> None:
        """Residents go; those behind them move up."""
        stays_N = np.ones(len(self), dtype=np.bool_)
        stays_N[row_M] = False
        number_N, row_S = np.where(stays_N, np.cumsum(stays_N) - 1, -1), np.flatnonzero(stays_N)
        self._points_ND, self._reach_N = self._points_ND[row_S], self._reach_N[row_S]
        self._entry_NW = renumbered(self._entry_NW, row_S, number_N)

    # ---------------------------------------------------------------- asking

    def graph(self) -> Graph:
        """Rows (N, k) of neighbours, nearest first, itself left out; k is N - 1 where there are fewer."""
        k = min(self._k, max(0, len(self) - 1))
        if k == 0:
            return Graph(np.empty((len(self), 0), dtype=np.int64), np.empty((len(self), 0), dtype=np.float32))
        self._search_anew(np.flatnonzero(self._entry_NW[:, k - 1] == EMPTY))
        first_NK = self._entry_NW[:, :k]
        return Graph((first_NK & ROW_MASK).astype(np.int64), np.sqrt(2 * aparts(first_NK)))

    def _search_anew(self, row_M: Rows) -> None:
        if len(row_M) == 0:
            return
        other_ME, cosine_ME = nearest(self._points_ND, self._points_ND[row_M], self._width + 2)
        entry_ME = entries(np.maximum(0, 1 - cosine_ME), other_ME)
        entry_ME[other_ME == row_M[:, None]] = EMPTY
        entry_ME.sort(axis=1)
        self._entry_NW[row_M] = EMPTY
        found = min(self._width, entry_ME.shape[1])
        self._entry_NW[row_M, :found] = entry_ME[:, :found]
        everyone = len(self) - 1 <= self._width
        self._reach_N[row_M] = FARTHEST if everyone else aparts(self._entry_NW[row_M, -1])


def entries(apart: Points, row: Rows) -> Entries:
    """Packed."""
    bits = np.ascontiguousarray(apart, dtype=np.float32).view(np.uint32).astype(np.uint64)
    return np.asarray((bits << ROW_BITS) | row.astype(np.uint64))


def aparts(entry: Entries) -> Points:
    """1 - cosine of entries that are not empty."""
    return (entry >> ROW_BITS).astype(np.uint32).view(np.float32)


def by_row(row_E: Rows, entry_E: Entries) -> tuple[Rows, Entries]:
    """Sorted by row, and in each row by entry: two sorts of whole numbers, a tenth of the time of `lexsort`."""
    near_E = np.argsort(entry_E)
    place_E = (row_E[near_E].astype(np.uint64) << ROW_BITS) | np.arange(len(row_E), dtype=np.uint64)
    place_E.sort()
    return (place_E >> ROW_BITS).astype(np.int64), entry_E[near_E[(place_E & ROW_MASK).astype(np.int64)]]


def renumbered(entry_NW: Entries, row_S: Rows, number_N: Rows) -> Entries:
    """Some rows, their neighbours under new numbers and nearest first; those without one (-1) are left out."""
    moved_SW = np.empty((len(row_S), entry_NW.shape[1]), dtype=np.uint64)
    wide_N = np.append(number_N, -1).astype(np.int32)

    def move(part: slice) -> None:
        entry_BW = entry_NW[row_S[part]]
        number_BW = wide_N[np.minimum(entry_BW & ROW_MASK, np.uint64(len(number_N))).astype(np.int32)]
        moved_BW = np.where(number_BW < 0, EMPTY, (entry_BW & ~ROW_MASK) | number_BW.astype(np.uint64))
        moved_BW.sort(axis=1)
        moved_SW[part] = moved_BW

    over_blocks(move, len(row_S), TILE)
    return moved_SW


def merged(old_N: NDArray[Any], new_M: NDArray[Any], row_N: Rows, at_M: Rows) -> NDArray[Any]:
    """Rows of both, each where it is said to be."""
    if len(at_M) and at_M[0] == len(old_N):
        return np.concatenate([old_N, new_M.astype(old_N.dtype)])
    together = np.empty((len(old_N) + len(new_M), *old_N.shape[1:]), dtype=old_N.dtype)
    together[row_N], together[at_M] = old_N, new_M
    return together


def guessed(cosine_MS: Points, wanted: int, stride: int) -> Points:
    """For each row a cosine above which probably more than `wanted` lie, and not many more; -2 where all are wanted.

    Args:
        cosine_MS: of every `stride`-th of those whom it is about.
    """
    if cosine_MS.shape[1] * stride <= GENEROUS * wanted:
        return np.full(len(cosine_MS), -FARTHEST)
    rank = -(-GENEROUS * wanted // stride)
    return np.partition(cosine_MS, -rank, axis=1)[:, -rank].copy()


def lowest_wanted(cosine_MN: Points, wanted: int) -> Points:
    """For each row a cosine above which more than `wanted` lie; N is larger than that."""
    last = -(wanted + 2)
    return np.partition(cosine_MN, last, axis=1)[:, last]
