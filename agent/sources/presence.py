"""Whether a folder's files are gone, or only the folder is out of sight.

A vanished mount must never be read as "all files deleted" (immich#17290, #17419, #13731). In doubt nothing is touched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from agent.sources.backlog import ASK_AT_ONCE
from agent.sources.protocol import Catalogue, Health
from agent.uri import file_of

FEW = 10
"""So many files may vanish at once, even if they are all."""

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scan proves.

    Attributes:
        readable: what the scan found is the source's, and may be read.
        returned: the folder was out of sight, or is another one than before: whoever watches it must start again.
    """

    health: Health
    detail: str = ""
    readable: bool = True
    returned: bool = False


class Presence:
    """Compares each scan with the catalogue and marks what is missing, if that is certain.

    Args:
        root: the watched folder.
        source: its name in the catalogue.
    """

    def __init__(self, root: str, source: str, catalogue: Catalogue) -> None:
        self._root = root
        self._source = source
        self._catalogue = catalogue
        self._trusted: Identity | None = None
        self._away = False
        self.unreadable = ""

    def identity(self) -> Identity | None:
        """Device and inode of the root; None if it is not there. Taken before the scan that is to be judged."""
        try:
            facts = os.stat(self._root)
        except OSError:
            return None
        return facts.st_dev, facts.st_ino

    def judge(self, identity: Identity | None, uris: AbstractSet[int], unreadable: Sequence[str]) -> Verdict:
        """Mark what has vanished as missing, or say why nothing can be concluded.

        Args:
            uris: `hash` of the uri of each file that the scan has seen; names of a million files would be heavy.
            unreadable: folders that could not be listed.
        """
        self.unreadable = f"cannot be read: {unreadable[0]}" if unreadable else ""
        if identity is None or self.identity() != identity or self._root in unreadable:
            return self._out_of_sight(f"{self._root} is not there or cannot be read")
        vanished, present = self._vanished(uris)
        moved = self._trusted is not None and identity != self._trusted
        most = 2 * len(vanished) > present
        if moved and most:
            return self._out_of_sight(f"{self._root} is another folder now, without the files that were known")
        returned, self._away, self._trusted = moved or self._away, False, identity
        if most and len(vanished) > FEW:
            return Verdict(
                "offline", f"{len(vanished)} of {present} known files vanished at once; not one is marked missing"
            )
        if not unreadable:
            for start in range(0, len(vanished), ASK_AT_ONCE):
                self._catalogue.mark_missing(vanished[start : start + ASK_AT_ONCE])
        return Verdict("online", returned=returned)

    def _vanished(self, uris: AbstractSet[int]) -> tuple[list[str], int]:
        """Uris that are stored as present and were not seen, and how many are stored."""
        vanished, present = [], 0
        for uri in self._catalogue.present_uris(self._source):
            present += 1
            if hash(uri) not in uris and hash(file_of(uri)) not in uris:
                vanished.append(uri)
        return vanished, present

    def _out_of_sight(self, detail: str) -> Verdict:
        self._away = True
        return Verdict("offline", detail, readable=False)
