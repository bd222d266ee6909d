"""Pictures that others stored, who do not have the ready encoder version: they get its vectors here, from thumbnails.

Others are machines that only take pictures in, and verbs that were shown one while a version was being built. The
clusterer waits for what comes after its last round, so that is looked through in the order in which it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from agent.catch_up import Embed
from storage.queries import BORN, Queries

LOOK_S = 1.0
"""So often is looked whether anything came."""


class Others:
    """Follows the archive from the last round on, under one version at a time.

    Args:
        batch: pictures at a time.
    """

    def __init__(
        self, queries: Queries, embed: Embed, *, batch: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queries = queries
        self._embed = embed
        self._batch = batch
        self._clock = clock
        self._version = BORN
        self._through = 0
        self._todo_N = np.empty(0, dtype=np.int64)
        self._look_at = clock()

    def begin(self, version: int) -> None:
        """This version is the ready one now."""
        last = self._queries.last_clustering()
        self._version, self._through = version, last.through_picture if last else 0
        self._todo_N = self._todo_N[:0]

    @property
    def due(self) -> bool:
        """Whether `step` would do something."""
        return self._version != BORN and (len(self._todo_N) > 0 or self._clock() >= self._look_at)

    def step(self) -> None:
        """One batch; a failed one is done again by the next call."""
        if len(self._todo_N) == 0:
            self._todo_N, through = self._queries.lacking(self._version, self._through)
            if through == self._through:
                self._look_at = self._clock() + LOOK_S
            self._through = through
        if len(self._todo_N):
            self._embed(self._version, self._todo_N[: self._batch])
            self._todo_N = self._todo_N[self._batch :]
