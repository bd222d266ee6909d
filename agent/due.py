"""When a round of the clusterer is due, and why. It knows nothing about what a round does."""

from __future__ import annotations

from collections.abc import Callable

from agent.config import ClusterConfig
from storage.queries import Queries
from storage.rows import ClusteringRow
from storage.states import RECLUSTER

# Reasons for a round in which nothing new may be coming, so that stability must confirm what new pictures cannot.
IDLE = ("idle", "drain", "requested")
SHIFT = "shift_seen"
"""State key: the last event of a shift that a round has taken note of."""


class Due:
    """Looks at what has happened since the last round.

    Args:
        config: section `cluster`.
        clock: monotonic seconds.
    """

    def __init__(self, queries: Queries, config: ClusterConfig, clock: Callable[[], float]) -> None:
        self._queries = queries
        self._config = config
        self._clock = clock
        self._newest, self._newest_at = queries.last_picture_id(), clock()
        shift = queries.state(SHIFT)
        self._shift, self._strangers = shift if isinstance(shift, int) else 0, 0

    def have_met(self, strangers: int) -> None:
        """So many more pictures were of no known kind."""
        self._strangers += strangers

    def have_seen(self, shift: int) -> None:
        """A round has taken note of all that had come, and of this event."""
        self._shift, self._strangers = shift, 0

    def reason(self, *, draining: bool = False) -> str | None:
        """Why a round is due; None where none is.

        Args:
            draining: nothing more comes.
        """
        last, version = self._queries.last_clustering(), self._queries.ready_version()
        if self._requested_after(last):
            return "requested"
        if last and last.encoder_version != version:
            return "version"
        waiting = self.waiting(last, self._queries.embedded_through(version))
        if waiting == 0:
            return self._rest(draining) if last and self._unexamined(last) else None
        if waiting >= self._config.every:
            return "every"
        return self._news(last, waiting) or self._rest(draining)

    def waiting(self, last: ClusteringRow | None, through: int) -> int:
        """Pictures since the last round, but for those that others stored and that have no vectors yet."""
        return self._queries.count_after(last.through_picture if last else 0, through)

    def _unexamined(self, last: ClusteringRow) -> bool:
        """Whether kinds wait to be confirmed, which the last round did not look at closely enough to do it."""
        return last.parameters.get("reason") not in IDLE and self._queries.unconfirmed()

    def _news(self, last: ClusteringRow | None, waiting: int) -> str | None:
        """A round before its time, because what comes is of no known kind; once for the same news."""
        if last is None or waiting < self._config.min_size:
            return None
        if self._queries.last_shift() > self._shift:
            return "shift"
        many = max(self._config.min_size, self._config.strangers * last.window_size)
        return "strangers" if self._strangers >= many else None

    def _rest(self, draining: bool) -> str | None:
        newest = self._queries.last_picture_id()
        if newest != self._newest:
            self._newest, self._newest_at = newest, self._clock()
        if draining:
            return "drain"
        return "idle" if self._clock() - self._newest_at > self._config.idle_s else None

    def _requested_after(self, last: ClusteringRow | None) -> bool:
        requested = self._queries.state(RECLUSTER)
        return isinstance(requested, int) and (last.id if last else 0) <= requested
