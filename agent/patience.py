"""Work on the storage that waits while the storage cannot be written: a full disk delays, and loses nothing.

Nor does a server that is started again.

It knows nothing about what the work is.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

import structlog
from sqlalchemy.exc import OperationalError

from storage.errors import StoreLocked, Unreachable

log = structlog.get_logger(__name__)

RETRY_S = (0.5, 1, 2, 5, 10, 30)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})


class Patience:
    """Waits after a failure that may pass, longer each time in a row.

    Args:
        wait: sleeps for so many seconds, or less when it is time to stop.
    """

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._wait = wait
        self._failures = 0

    def attempt(self, work: Callable[[], object]) -> bool:
        """Do it and return True; if the storage does not take it, say so, wait, and return False.

        Raises:
            Exception: whatever else the work failed with.
        """
        try:
            work()
        except (OperationalError, StoreLocked, Unreachable, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_ROOM:
                raise
            wait_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
            log.error(_told(error), error=_line(error), retry_in_s=wait_s)
            self._wait(wait_s)
            return False
        self._failures = 0
        return True


def _told(error: Exception) -> str:
    if isinstance(error, Unreachable) or getattr(error, "connection_invalidated", False):
        return "the storage does not answer"
    return "cannot write to the storage; is the disk full?"


def _line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
