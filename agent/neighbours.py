"""The exact graph of nearest neighbours, kept while points come and go.

It knows nothing about kinds, bursts or pictures: points of unit length in, rows of neighbours out, always those that a
search from nothing would find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
# Newcomers compared with all residents at a time: bounds the memory to this many times the residents.
BLOCK = 128
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
        blocks = list(self._meetings(points_MD, within))
        if not blocks:
            nobody = np.empty(0, dtype=np.int64)
            bound_M = np.full(len(points_MD), FARTHEST, dtype=np.float32)
            return Pairs(nobody, nobody, np.empty(0, dtype=np.float32), bound_M)
        new, old, apart, bound = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return Pairs(new, old, apart, bound)

    def _meetings(self, points_MD: Points, within: float) -> Iterator[tuple[Rows, Rows, Points, Points]]:
        if len(self) == 0:
            return
        floor_N = 1 - np.maximum(self._reach_N, np.float32(within))
        for start in range(0, len(points_MD), BLOCK):
            cosine_BN = points_MD[start : start + BLOCK] @ self._points_ND.T
            bound_B = lowest_wanted(cosine_BN, self._width)
            hit_E = np.flatnonzero(cosine_BN > np.minimum(bound_B[:, None], floor_N))
            new_E, old_E = np.divmod(hit_E, len(self))
            apart_E = np.maximum(0, 1 - cosine_BN.ravel()[hit_E])
            yield new_E + start, old_E, apart_E, np.minimum(1 - bound_B, FARTHEST)

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
        make_room = not np.array_equal(row_N, np.arange(len(row_N)))
        entry_NW = renumbered(self._entry_NW, row_N) if make_room else self._entry_NW
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
        entry_MM.sort(axis=1)
        short = self._width + 1 - len(at_M)
        if short > 0:
            entry_MM = np.pad(entry_MM, ((0, 0), (0, short)), constant_values=EMPTY)
        cut_M = entry_MM[:, self._width] != EMPTY
        entry_MW = entry_MM[:, : self._width]
        return entry_MW, np.where(cut_M, aparts(entry_MW[:, -1]), FARTHEST)

    def _add(self, row_E: Rows, other_E: Rows, apart_E: Points) -> None:
        """Merge neighbours into rows, as far as these reach; each keeps the nearest."""
        near_E = apart_E <= self._reach_N[row_E]
        row_E, entry_E = row_E[near_E], entries(apart_E[near_E], other_E[near_E])
        order_E = np.lexsort((entry_E, row_E))
        row_E, entry_E = row_E[order_E], entry_E[order_E]
        row_T, start_T, count_T = np.unique(row_E, return_index=True, return_counts=True)
        if len(row_T) == 0:
            return
        rank_E = np.arange(len(row_E)) - np.repeat(start_T, count_T)
        kept_E = rank_E <= self._width
        extra_TX = np.full((len(row_T), rank_E[kept_E].max() + 1), EMPTY)
        extra_TX[np.repeat(np.arange(len(row_T)), count_T)[kept_E], rank_E[kept_E]] = entry_E[kept_E]
        together_TY = np.hstack([self._entry_NW[row_T], extra_TX])
        together_TY.sort(axis=1)
        self._entry_NW[row_T] = together_TY[:, : self._width]
        cut_T = together_TY[:, self._width] != EMPTY
        self._reach_N[row_T[cut_T]] = aparts(together_TY[cut_T, self._width - 1])

    # ---------------------------------------------------------------- going

    def remove(self, row_M: Rows) -> None:
        """Residents go; those behind them move up."""
        stays_N = np.ones(len(self), dtype=np.bool_)
        stays_N[row_M] = False
        number_N = np.where(stays_N, np.cumsum(stays_N) - 1, -1)
        self._points_ND, self._reach_N = self._points_ND[stays_N], self._reach_N[stays_N]
        self._entry_NW = renumbered(self._entry_NW[stays_N], number_N)
        self._entry_NW.sort(axis=1)

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


def renumbered(entry_NW: Entries, number_N: Rows) -> Entries:
    """The same neighbours under new row numbers, in the same order; those without one (-1) are emptied."""
    narrow_N = np.append(number_N, -1).astype(np.int32)
    moved_NW = np.empty_like(entry_NW)
    for start in range(0, len(entry_NW), BLOCK):
        entry_BW = entry_NW[start : start + BLOCK]
        row_BW = np.minimum(entry_BW & ROW_MASK, np.uint64(len(number_N))).astype(np.int32)
        number_BW = narrow_N[row_BW]
        moved_BW = (entry_BW & ~ROW_MASK) | number_BW.astype(np.uint64)
        moved_NW[start : start + BLOCK] = np.where(number_BW < 0, EMPTY, moved_BW)
    return moved_NW


def merged(old_N: NDArray[Any], new_M: NDArray[Any], row_N: Rows, at_M: Rows) -> NDArray[Any]:
    """Rows of both, each where it is said to be."""
    together = np.empty((len(old_N) + len(new_M), *old_N.shape[1:]), dtype=old_N.dtype)
    together[row_N], together[at_M] = old_N, new_M
    return together


def lowest_wanted(cosine_BN: Points, wanted: int) -> Points:
    """For each row a cosine above which more than `wanted` lie, and not many more; -2 where there are no more.

    Guessed from a sample, since to sort all is dear; where the guess was too high, all are looked at.
    """
    count = cosine_BN.shape[1]
    if count <= GENEROUS * wanted:
        return np.full(len(cosine_BN), -FARTHEST)
    stride = max(1, count // SAMPLE)
    rank = -(-GENEROUS * wanted // stride)
    bound_B = np.partition(cosine_BN[:, ::stride], -rank, axis=1)[:, -rank]
    short_B = np.flatnonzero((cosine_BN > bound_B[:, None]).sum(axis=1) <= wanted)
    if len(short_B):
        last = -(wanted + 2)
        bound_B[short_B] = np.partition(cosine_BN[short_B], last, axis=1)[:, last]
    return bound_B
