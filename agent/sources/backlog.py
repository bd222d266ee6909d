"""Files that wait to be read, oldest first, and which of them need not be read at all.

Thousands of them are light tuples and nothing more; the catalogue is asked about few at a time, when their turn comes.
"""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable, Sequence

from agent.frame import FileStat
from agent.magic import HEAD_BYTES, sniff
from agent.regular import open_regular
from agent.sources.protocol import Catalogue
from agent.uri import file_uri

ASK_AT_ONCE = 500
"""Uris in one question to the catalogue: below SQLite's old limit of 999 variables."""


def fingerprint(path: str, stat: FileStat) -> int:
    """64 bits for this file in this state: a million of them fit where their names would not."""
    return hash((path, stat.size_bytes, stat.mtime_ns))


class Backlog:
    """A queue by (mtime, path) that passes over what is stored already and what is no picture.

    Args:
        suffixes: lower-case suffixes that are taken for pictures unseen.
        catalogue: knows what is stored.
        held: whether a uri is on its way into the catalogue.
        again: called with the path of a file that must be looked at later, because it is on its way.
    """

    def __init__(
        self,
        suffixes: Sequence[str],
        catalogue: Catalogue,
        held: Callable[[str], bool],
        again: Callable[[str], None],
    ) -> None:
        self._suffixes = tuple(suffixes)
        self._catalogue = catalogue
        self._held = held
        self._again = again
        self._heap: list[tuple[int, str, int]] = []
        self._next: deque[tuple[str, FileStat]] = deque()
        self._done: set[int] = set()

    def __len__(self) -> int:
        return len(self._heap) + len(self._next)

    def add(self, path: str, stat: FileStat) -> None:
        """Queue a file; one that is queued twice is read once, as it is known by then."""
        heapq.heappush(self._heap, (stat.mtime_ns, path, stat.size_bytes))

    def pop(self) -> tuple[str, FileStat] | None:
        """The next file that must be read; None if there is none."""
        while not self._next and self._heap:
            self._ask()
        return self._next.popleft() if self._next else None

    def is_done(self, path: str, stat: FileStat) -> bool:
        """Whether this file was passed over in this very state."""
        return fingerprint(path, stat) in self._done

    def keep_done(self, fingerprints: set[int]) -> None:
        """Forget all that was passed over but these: a file that was gone for a while is asked about again."""
        self._done &= fingerprints

    def clear(self) -> None:
        """Forget what is queued; a scan finds it again."""
        self._heap.clear()
        self._next.clear()

    def _ask(self) -> None:
        heap = self._heap
        chunk: dict[str, FileStat] = {}  # by path: the last state of a file that is queued twice
        while heap and len(chunk) < ASK_AT_ONCE:
            mtime_ns, path, size_bytes = heapq.heappop(heap)
            chunk[path] = FileStat(size_bytes, mtime_ns)
        uris = {path: file_uri(path) for path in chunk}
        held = {path for path in chunk if self._held(uris[path])}  # before `known`: held becomes known, never back
        asked = [uris[path] for path in chunk if path not in held]
        known = self._catalogue.known(asked) if asked else {}
        for path, stat in chunk.items():
            if path in held:
                self._again(path)
            elif known.get(uris[path]) == (stat.size_bytes, stat.mtime_ns):
                self._done.add(fingerprint(path, stat))
            else:
                self._sort(path, stat)

    def _sort(self, path: str, stat: FileStat) -> None:
        try:
            is_picture = self._is_picture(path)
        except OSError:  # nobody can say; the next scan asks again
            return
        if is_picture:
            self._next.append((path, stat))
        else:
            self._done.add(fingerprint(path, stat))

    def _is_picture(self, path: str) -> bool:
        if os.path.splitext(path)[1].lower() in self._suffixes:
            return True
        file = open_regular(path)
        if file is None:
            return False
        with file:
            return sniff(file.read(HEAD_BYTES)) is not None
