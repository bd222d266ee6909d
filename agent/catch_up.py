"""Pictures beyond the window under the ready encoder version: when nothing arrives, oldest first.

A version is published when the window has its vectors; similarity search is better for the rest having them too. That
is worth what time is left over and no more, so it takes a share of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from storage.queries import BORN, Queries

Embed = Callable[[int, NDArray[np.int64]], None]
"""Stores the vectors of pictures (ids) under a version."""


class CatchUp:
    """Goes once through the archive for each version.

    Args:
        batch: pictures at a time.
        share: of the time that it may take; 0 for never.
    """

    def __init__(
        self,
        queries: Queries,
        embed: Embed,
        *,
        batch: int,
        share: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries = queries
        self._embed = embed
        self._batch = batch
        self._share = share
        self._clock = clock
        self._version = BORN
        self._through = 0
        self._todo_N = np.empty(0, dtype=np.int64)
        self._finished = True
        self._next_at = clock()

    def begin(self, version: int) -> None:
        """This version is the ready one now; what was left to do for the one before is not."""
        self._version, self._through = version, 0
        self._todo_N = self._todo_N[:0]
        self._finished = version == BORN or self._share == 0

    @property
    def due(self) -> bool:
        """Whether `step` would do something."""
        return not self._finished and self._clock() >= self._next_at

    def step(self) -> None:
        """One batch; a failed one is done again by the next call."""
        started = self._clock()
        if len(self._todo_N) == 0:
            self._todo_N, through = self._queries.lacking(self._version, self._through)
            self._finished = through == self._through
            self._through = through
        if len(self._todo_N):
            self._embed(self._version, self._todo_N[: self._batch])
            self._todo_N = self._todo_N[self._batch :]
        now = self._clock()
        self._next_at = now + (now - started) * (1 / self._share - 1)
