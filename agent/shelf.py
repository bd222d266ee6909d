"""Rows that stay where they are in memory while others come and go.

The innate embeddings of a window are long, and to move up all that stay cost more than anything else that a round did
with them. It knows nothing of what the rows are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.neighbours import merged

Rows = NDArray[np.int64]

# Part of what is there by which room is made at least, so that it is seldom made.
GROWTH = 8


class Shelf:
    """A matrix whose rows are numbered anew as rows come and go.

    Args:
        width: of a row.
        dtype: of its numbers.
    """

    def __init__(self, width: int, dtype: type[np.floating]) -> None:
        self._held_SD: NDArray[Any] = np.empty((0, width), dtype=dtype)
        self._slot_N: Rows = np.empty(0, dtype=np.int64)
        self._free: Rows = np.empty(0, dtype=np.int64)

    def __getitem__(self, row_M: Rows) -> NDArray[Any]:
        """A copy of some rows."""
        return self._held_SD[self._slot_N[row_M]]

    def insert(self, rows_MD: NDArray[Any], row_N: Rows, at_M: Rows) -> None:
        """Let rows in.

        Args:
            row_N: numbers that those who are there will have.
            at_M: numbers that the new ones will have.
        """
        self._make_room(len(at_M))
        slot_M, self._free = self._free[: len(at_M)], self._free[len(at_M) :]
        self._held_SD[slot_M] = rows_MD
        self._slot_N = merged(self._slot_N, slot_M, row_N, at_M)

    def remove(self, stays_N: NDArray[np.bool_]) -> None:
        """Rows go, and those behind them get smaller numbers."""
        self._free = np.concatenate([self._free, self._slot_N[~stays_N]])
        self._slot_N = self._slot_N[stays_N]

    def _make_room(self, wanted: int) -> None:
        held, lacking = len(self._held_SD), wanted - len(self._free)
        if lacking > 0:
            grown_SD = np.empty((held + max(lacking, held // GROWTH), self._held_SD.shape[1]), self._held_SD.dtype)
            grown_SD[:held] = self._held_SD
            self._held_SD, self._free = grown_SD, np.concatenate([self._free, np.arange(held, len(grown_SD))])
