"""Files that cannot be read at all, for want of a permission or because their disk fails: tried less and less often.

They have no hash, and their size and mtime say nothing about why: a permission that is given changes only the ctime.
What is remembered here ends with the process, so a new start tries each of them at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

LEAST_S, MOST_S = 60.0, 6 * 3_600.0
FACTOR = 4

State = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Refusal:
    state: State | None
    attempts: int
    until_s: float


class Refusals:
    """The files of one source; for one thread.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refusals: dict[str, _Refusal] = {}

    def note(self, path: str, *, refused: bool) -> None:
        """An attempt to read it has come to an end."""
        before = self._refusals.pop(path, None)
        if refused:
            state = _state(path)
            attempts = before.attempts + 1 if before is not None and before.state == state else 1
            wait_s = min(MOST_S, LEAST_S * FACTOR ** min(attempts - 1, 10))
            self._refusals[path] = _Refusal(state, attempts, self._clock() + wait_s)

    def rests(self, path: str) -> bool:
        """Whether it is to be left alone: it was refused not long ago, and nothing about it has changed."""
        refusal = self._refusals.get(path)
        return refusal is not None and self._clock() < refusal.until_s and refusal.state == _state(path)

    def forget_gone(self) -> None:
        """Forget what is not there any more."""
        self._refusals = {path: refusal for path, refusal in self._refusals.items() if os.path.lexists(path)}


def _state(path: str) -> State | None:
    """Size, mtime and ctime; None where nothing is."""
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
