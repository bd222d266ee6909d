"""What has been read and not yet stored: a bounded queue that forgets an item only when it is acknowledged.

It knows nothing about decoding or storage. A full inbox blocks whoever puts: for a folder the disk is the backlog.
Who cannot wait offers, and finds a little room beyond, or folders with a long backlog would leave a camera none.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from agent.frame import Frame, Rejected

LIVE_ROOM = 4
"""Items beyond the capacity, for those who cannot wait."""

STOP_CHECK_S = 0.1
"""How often a blocked caller looks at its stop flag."""


class Inbox:
    """Items between sources and the embedding thread, first in, first out; for any number of threads.

    Args:
        capacity: items held, whether they wait or have been taken and not yet acknowledged; and `LIVE_ROOM` more.
        clock: monotonic seconds.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._clock = clock
        self._waiting: deque[Frame | Rejected] = deque()
        self._held: Counter[str] = Counter()
        self._depth = 0
        self._changed = threading.Condition()

    @property
    def depth(self) -> int:
        """Items put and not yet acknowledged."""
        return self._depth

    def put(self, item: Frame | Rejected, stop: threading.Event) -> bool:
        """Add an item, waiting while the inbox is full; False if `stop` was set first."""
        with self._changed:
            while self._depth >= self._capacity:
                if stop.is_set():
                    return False
                self._changed.wait(STOP_CHECK_S)
            if stop.is_set():
                return False
            self._append(item)
            return True

    def offer(self, item: Frame | Rejected) -> bool:
        """Add an item if there is room; never waits."""
        with self._changed:
            if self._depth >= self._capacity + LIVE_ROOM:
                return False
            self._append(item)
            return True

    def _append(self, item: Frame | Rejected) -> None:
        self._waiting.append(item)
        self._held[item.origin.uri] += 1
        self._depth += 1
        self._changed.notify_all()

    def take(self, limit: int, timeout_s: float) -> list[Frame | Rejected]:
        """Up to `limit` items as soon as there is one; none after `timeout_s` without."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting), timeout_s)
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def acknowledge(self, items: Iterable[Frame | Rejected]) -> None:
        """Forget items that were taken, now that they are stored.

        Raises:
            ValueError: an item is not held.
        """
        with self._changed:
            for item in items:
                uri = item.origin.uri
                if uri not in self._held:
                    raise ValueError(f"acknowledged without being held: {uri}")
                self._held[uri] -= 1
                self._depth -= 1
                if not self._held[uri]:
                    del self._held[uri]
            self._changed.notify_all()

    def holds(self, uri: str) -> bool:
        """Whether something from this uri is put and not yet acknowledged."""
        with self._changed:
            return uri in self._held

    def join(self, stop: threading.Event, timeout_s: float | None = None) -> bool:
        """Wait until everything is acknowledged; False if `stop` was set or the time is over first."""
        deadline = None if timeout_s is None else self._clock() + timeout_s
        with self._changed:
            while self._depth:
                if stop.is_set() or (deadline is not None and self._clock() >= deadline):
                    return False
                self._changed.wait(STOP_CHECK_S)
            return True
