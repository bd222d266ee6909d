"""A source that may fail in any way whatever, and stops no other: it is said to be away, and begun again after a while.

Sources wait out by themselves what they know of; this is for what nobody has thought of.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError

import structlog

from agent.sources.backoff import Backoff
from agent.sources.protocol import Health, Source

log = structlog.get_logger(__name__)

LEAST_S, MOST_S = 1.0, 60.0
ATTEMPTS = 3
"""So often what is there is drained; then it is given up, since `--once` has to end."""


class Guarded:
    """Is a source to everybody who asks.

    Args:
        note: told of every change of health.
        backoff: how long to wait before the next attempt.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        source: Source,
        note: Callable[[str, Health, str], None],
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._note = note
        self._backoff = backoff or Backoff(LEAST_S, MOST_S, random.Random())
        self._clock = clock
        self._fault = ""

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def health(self) -> Health:
        return "offline" if self._fault else self._source.health

    @property
    def detail(self) -> str:
        return self._fault or self._source.detail

    @property
    def counts(self) -> dict[str, int]:
        return self._source.counts

    @property
    def observer(self) -> str:
        return self._source.observer

    @property
    def observer_why(self) -> str:
        return self._source.observer_why

    def run(self, stop: threading.Event) -> None:
        """Yield until `stop`."""
        while not stop.is_set():
            began = self._clock()
            try:
                self._source.run(stop)
                return
            except CancelledError:  # the pool was closed: we are being stopped
                return
            except Exception as error:  # the edge of this source: others live on
                log.exception("the source failed; trying again", source=self.name)
                self._backoff.worked(self._clock() - began)
                self._rest(error, stop)

    def drain(self, stop: threading.Event) -> None:
        """Yield all that is there.

        Raises:
            Exception: what it failed with, when it has failed so often.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._source.drain(stop)
                return
            except CancelledError:  # as in `run`
                return
            except Exception as error:  # as in `run`
                if attempt == ATTEMPTS or stop.is_set():
                    self._say(error)
                    raise
                log.exception("the source failed; trying again", source=self.name)
                self._rest(error, stop)

    def _rest(self, error: Exception, stop: threading.Event) -> None:
        self._say(error)
        stop.wait(self._backoff.next_s())
        self._fault = ""

    def _say(self, error: Exception) -> None:
        self._fault = f"{type(error).__name__}: {error}".splitlines()[0]
        self._note(self.name, "offline", self._fault)
