"""Files of one folder that are being decoded, and which of them is handed on next: the first one, as a rule.

One that takes very long loses its place, if whoever asks allows it; or it would hold up all that come after it for as
long as decoding may take. It knows nothing about folders.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.frame import Frame, Rejected
from agent.killable import Task


@dataclass(frozen=True, slots=True)
class Reading:
    """One file that is being decoded, or has been."""

    path: str
    task: Task[list[Frame | Rejected]]


class InFlight:
    """Readings in the order in which they were added; for one thread.

    Args:
        clock: monotonic seconds, as of `Task.began_s`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: deque[Reading] = deque()
        self._overtaken: list[Reading] = []
        self._paths: set[str] = set()

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def add(self, path: str, task: Task[list[Frame | Rejected]]) -> None:
        """A file that is not among them yet."""
        self._waiting.append(Reading(path, task))
        self._paths.add(path)

    def pop(self, patience_s: float) -> Reading | None:
        """The one that is to be handed on now, if any.

        Args:
            patience_s: one whose decoding has taken so long, not counting its wait for a worker, holds up no other that
                is ready.
        """
        reading = self._next(patience_s)
        if reading is not None:
            self._paths.discard(reading.path)
        return reading

    def cancel(self) -> None:
        """Forget them all."""
        for reading in (*self._waiting, *self._overtaken):
            reading.task.cancel()
        self._waiting.clear()
        self._overtaken.clear()
        self._paths.clear()

    def _next(self, patience_s: float) -> Reading | None:
        late = next((reading for reading in self._overtaken if reading.task.done()), None)
        if late is not None:
            self._overtaken.remove(late)
            return late
        while self._waiting:
            if self._waiting[0].task.done():
                return self._waiting.popleft()
            if not self._holds_up(self._waiting[0], patience_s):
                return None
            self._overtaken.append(self._waiting.popleft())
        return None

    def _holds_up(self, first: Reading, patience_s: float) -> bool:
        took_s = self._clock() - first.task.began_s
        return took_s >= patience_s and any(other.task.done() for other in self._waiting)
