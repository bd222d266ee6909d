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
from collections.abc import Callable, Iterator

from agent.frame import FileStat

Stat = Callable[[str], FileStat | None]


def file_stat(path: str) -> FileStat | None:
    """Size and mtime of a regular file; None for anything else, links included, and where nothing is."""
    try:
        facts = os.lstat(path)
    except (OSError, ValueError):
        return None
    return FileStat.of(facts) if stat.S_ISREG(facts.st_mode) else None


def linked_file_stat(path: str) -> FileStat | None:
    """The same, where links to files count as what they lead to."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileStat.of(facts) if stat.S_ISREG(facts.st_mode) else None


class StabilityTracker:
    """Paths that may become ready. `touch` is for any thread, the rest for one.

    Args:
        settle_s: how long nothing may change; may differ from path to path, but not in time.
        file_stat: looks at a file.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settle_s: Callable[[str], float],
        file_stat: Stat = file_stat,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settle_s = settle_s
        self._stat = file_stat
        self._clock = clock
        self._lock = threading.Lock()
        self._touched: dict[str, None] = {}
        # By settle_s: path -> (deadline, stat then). Of those that wait equally long every new deadline is the latest,
        # so insertion order is order of deadlines.
        self._waiting: dict[float, dict[str, tuple[float, FileStat]]] = {}

    def __len__(self) -> int:
        return len(self._touched) + sum(map(len, self._waiting.values()))

    def touch(self, path: str) -> None:
        """This path may have changed; its time starts again."""
        with self._lock:
            self._touched[path] = None

    def seen(self, path: str) -> None:
        """It is there, and perhaps changes: as `touch`, but what waits already goes on waiting, changed or not."""
        if path not in self._waiting.get(self._settle_s(path), ()):
            self.touch(path)

    def settled(self) -> list[tuple[str, FileStat]]:
        """Take out the files that have stood still long enough; those that are gone are dropped."""
        now = self._clock()
        with self._lock:
            touched, self._touched = self._touched, {}
        for path in touched:
            self._arm(path, self._stat(path), now)
        return [each for settle_s, waiting in self._waiting.items() for each in self._ready(settle_s, waiting, now)]

    def _ready(
        self, settle_s: float, waiting: dict[str, tuple[float, FileStat]], now: float
    ) -> Iterator[tuple[str, FileStat]]:
        while waiting:
            path, (deadline, before) = next(iter(waiting.items()))
            if deadline > now:
                break
            after = self._stat(path)
            if after == before:
                del waiting[path]
                yield path, before
            else:
                self._arm(path, after, now)
                if settle_s == 0:
                    break  # its deadline is now again; the next call looks at it

    def next_in_s(self) -> float | None:
        """Seconds until `settled` has something to look at; None if nothing waits."""
        if self._touched:
            return 0.0
        firsts = [next(iter(waiting.values()))[0] for waiting in self._waiting.values() if waiting]
        return max(0.0, min(firsts) - self._clock()) if firsts else None

    def _arm(self, path: str, seen: FileStat | None, now: float) -> None:
        settle_s = self._settle_s(path)
        waiting = self._waiting.setdefault(settle_s, {})
        waiting.pop(path, None)
        if seen is not None:
            waiting[path] = (now + settle_s, seen)
