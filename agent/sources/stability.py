"""Waits until files stop changing.

It knows nothing about pictures, watchers or folders: paths come in as hints from any thread, and come out once their
size and mtime have stood still for `settle_s` without another hint. A file that never stands still waits for ever
(giving up on a slow copy loses it, paperless-ngx#1159).
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable

from agent.frame import FileStat

Stat = Callable[[str], FileStat | None]


def file_stat(path: str) -> FileStat | None:
    """Size and mtime of a regular file; None for anything else, links included, and where nothing is."""
    try:
        facts = os.lstat(path)
    except (OSError, ValueError):
        return None
    return FileStat(facts.st_size, facts.st_mtime_ns) if stat.S_ISREG(facts.st_mode) else None


class StabilityTracker:
    """Paths that may become ready. `touch` is for any thread, the rest for one.

    Args:
        settle_s: how long nothing may change.
        file_stat: looks at a file.
        clock: monotonic seconds.
    """

    def __init__(
        self, settle_s: float, file_stat: Stat = file_stat, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settle_s = settle_s
        self._stat = file_stat
        self._clock = clock
        self._lock = threading.Lock()
        self._touched: dict[str, None] = {}
        # Path -> (deadline, stat then). Every new deadline is the latest, so insertion order is order of deadlines.
        self._waiting: dict[str, tuple[float, FileStat]] = {}

    def __len__(self) -> int:
        return len(self._touched) + len(self._waiting)

    def touch(self, path: str) -> None:
        """This path may have changed; its time starts again."""
        with self._lock:
            self._touched[path] = None

    def settled(self) -> list[tuple[str, FileStat]]:
        """Take out the files that have stood still long enough; those that are gone are dropped."""
        now = self._clock()
        with self._lock:
            touched, self._touched = self._touched, {}
        for path in touched:
            self._arm(path, self._stat(path), now)
        ready = []
        while self._waiting:
            path, (deadline, before) = next(iter(self._waiting.items()))
            if deadline > now:
                break
            after = self._stat(path)
            if after == before:
                del self._waiting[path]
                ready.append((path, before))
            else:
                self._arm(path, after, now)
                if self._settle_s == 0:
                    break  # its deadline is now again; the next call looks at it
        return ready

    def next_in_s(self) -> float | None:
        """Seconds until `settled` has something to look at; None if nothing waits."""
        if self._touched:
            return 0.0
        if not self._waiting:
            return None
        deadline, _ = next(iter(self._waiting.values()))
        return max(0.0, deadline - self._clock())

    def _arm(self, path: str, seen: FileStat | None, now: float) -> None:
        self._waiting.pop(path, None)
        if seen is not None:
            self._waiting[path] = (now + self._settle_s, seen)
