"""Whether anything that happens in a folder is reported at all: a dot-file that is made and removed must be.

Users of such programs meet mounts that take a watch and never tell, and no mount table says so.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress

ANSWER_S = 2.0
PREFIX = ".taxon-probe-"


class Probe:
    """One folder's. `heard` is for the observer's thread, the rest for one other.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, root: str, clock: Callable[[], float]) -> None:
        self._root = root
        self._clock = clock
        self._path = ""
        self._deadline: float | None = None

    def drop(self) -> None:
        """Make a file and remove it. Where none can be made, nothing is asked, and events are trusted."""
        self._path = os.path.join(self._root, f"{PREFIX}{uuid.uuid4().hex[:12]}")
        self._deadline = self._clock() + ANSWER_S
        try:
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError:
            self._deadline = None
        with suppress(OSError):
            os.unlink(self._path)

    def heard(self, path: str) -> bool:
        """An event has told of this path; whether it is the probe's."""
        if path != self._path:
            return False
        self._deadline = None
        return True

    @property
    def pending(self) -> bool:
        """It was asked, and not answered."""
        return self._deadline is not None

    @property
    def silent(self) -> bool:
        """The answer is overdue."""
        deadline = self._deadline
        return deadline is not None and self._clock() > deadline
