"""Room for one thing, the newest: between a camera that never waits and whoever looks now and then."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """Holds what was put last; for one thread that puts and one that takes.

    Attributes:
        put_count, dropped: things that came, and those of them that a newer one pushed out before anybody took them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._item: T | None = None
        self.put_count = 0
        self.dropped = 0

    def put(self, item: T) -> None:
        """Never waits."""
        with self._lock:
            self.dropped += self._item is not None
            self.put_count += 1
            self._item = item

    def take(self) -> T | None:
        """The newest, once; None when nothing came since."""
        with self._lock:
            item, self._item = self._item, None
            return item
