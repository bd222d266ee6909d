"""What a source is to the daemon, and what a source wants to know of the memory. Only shapes; no behaviour."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

Health = Literal["online", "degraded", "offline"]


class SourceError(Exception):
    """A source cannot be used at all; the message is one line with the remedy (exit code 4)."""

    exit_code = 4


class Source(Protocol):
    """Something that yields frames into an inbox until it is stopped.

    Attributes:
        name: by which people know it.
        health: `online`; `degraded`: it works, with a handicap; `offline`: it is not there, and nothing is concluded
            from what cannot be seen.
        detail: why, in one line; empty when all is well.
        counts: what became of what came, by reason, since the start; of a folder, how often its events were lost.
        observer: how a folder's changes are noticed between scans, `native` or `polling`; empty for other sources.
        observer_why: why in that way, in one line.
    """

    name: str
    health: Health
    detail: str
    counts: dict[str, int]
    observer: str
    observer_why: str

    def run(self, stop: threading.Event) -> None:
        """Yield until `stop`; return within two seconds of it."""

    def drain(self, stop: threading.Event) -> None:
        """Yield all that is there now, and return when it is acknowledged."""


class Catalogue(Protocol):
    """What is stored already (`storage.queries` and `storage.store` together)."""

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        """(size_bytes, mtime_ns) of those uris that are stored, as pictures or as rejections."""

    def present_uris(self, source: str) -> Iterator[str]:
        """All uris of a source that are not marked missing."""

    def mark_missing(self, uris: Sequence[str]) -> None:
        """Note that these files are gone."""
