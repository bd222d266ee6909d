"""Whether a folder's files are gone, or only the folder is out of sight.

A vanished mount must never be read as "all files deleted" (immich#17290, #17419, #13731). In doubt nothing is touched,
and what stays away long enough beside files that are there is believed in the end.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from agent.sources.backlog import ASK_AT_ONCE
from agent.sources.protocol import Catalogue, Health
from agent.uri import file_of, file_uri

FEW = 10
"""So many files may vanish at once, even if they are all, from a folder in which they were seen."""

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


@dataclass(frozen=True, slots=True)
class _Doubt:
    """So many files were away of this folder, since then or longer."""

    since_s: float
    identity: Identity
    vanished: int


class Presence:
    """Compares each scan with the catalogue and marks what is missing, if that is certain.

    Args:
        root: the watched folder.
        source: its name in the catalogue.
        believe_s: what seems to be gone is so, if it stays away for so long and other files are there.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        root: str,
        source: str,
        catalogue: Catalogue,
        *,
        believe_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._source = source
        self._catalogue = catalogue
        self._believe_s = believe_s
        self._clock = clock
        self._trusted: Identity | None = None
        self._away = False
        self._doubt: _Doubt | None = None
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
            unreadable: folders that could not be listed, and links that lead nowhere.
        """
        self.unreadable = f"cannot be read: {unreadable[0]}" if unreadable else ""
        if identity is None or self.identity() != identity or self._root in unreadable:
            return self._out_of_sight(f"{self._root} is not there or cannot be read")
        vanished, present = self._vanished(uris, unreadable)
        moved = self._trusted is not None and identity != self._trusted
        alive = bool(uris)
        if self._is_odd(len(vanished), present, moved, alive) and not self._believes(identity, len(vanished), alive):
            self._away = True
            return self._doubtful(len(vanished), present, moved, alive)
        returned, self._away, self._trusted, self._doubt = moved or self._away, False, identity, None
        for start in range(0, len(vanished), ASK_AT_ONCE):
            self._catalogue.mark_missing(vanished[start : start + ASK_AT_ONCE])
        return Verdict("online", returned=returned)

    def _vanished(self, uris: AbstractSet[int], unreadable: Sequence[str]) -> tuple[list[str], int]:
        """Uris that are stored as present and were not seen, and how many are stored; without what nobody could see."""
        hidden = {file_uri(path) for path in unreadable}
        below = tuple(uri + os.sep for uri in hidden)
        vanished, present = [], 0
        for uri in self._catalogue.present_uris(self._source):
            present += 1
            if hash(uri) not in uris and hash(file_of(uri)) not in uris:
                if uri.startswith(below) or file_of(uri) in hidden:
                    present -= 1
                else:
                    vanished.append(uri)
        return vanished, present

    # ---------------------------------------------------------------- doubts

    def _is_odd(self, vanished: int, present: int, moved: bool, alive: bool) -> bool:
        """Whether a mount that is away would look just so."""
        if not vanished:
            return False
        if self._trusted is None and vanished == present and not alive:
            return True  # an empty mount point looks so after a restart
        return 2 * vanished > present and (moved or vanished > FEW)

    def _believes(self, identity: Identity, vanished: int, alive: bool) -> bool:
        """Whether files have been away for so long, beside others that are there, that they must be gone."""
        before, now = self._doubt, self._clock()
        if not alive:
            self._doubt = None
            return False
        lasts = before is not None and before.identity == identity and vanished >= before.vanished
        self._doubt = _Doubt(before.since_s if before is not None and lasts else now, identity, vanished)
        return now - self._doubt.since_s >= self._believe_s

    def _doubtful(self, vanished: int, present: int, moved: bool, alive: bool) -> Verdict:
        if not alive:
            remedy = "nothing else is there, so not one is marked missing"
        else:
            remedy = f"marked missing if they stay away for {self._believe_s:g} s (folder.believe_s)"
        if moved:
            detail = f"{self._root} is another folder now, without the files that were known; {remedy}"
            return Verdict("offline", detail, readable=False)
        return Verdict("offline", f"{vanished} of {present} known files vanished at once; {remedy}")

    def _out_of_sight(self, detail: str) -> Verdict:
        self._away, self._doubt = True, None
        return Verdict("offline", detail, readable=False)
