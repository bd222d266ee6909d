"""One agent per data directory: a lock that the kernel gives back when its holder dies.

It knows nothing about the database; programs that only read need no lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from storage.errors import StoreLocked

NAME = "agent.lock"
TRIES = 5
TRY_S = 0.02


class DataLock:
    """Context manager; the directory is this process's until it ends.

    Raises:
        StoreLocked: on entering, when another process holds it.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / NAME
        self._file = -1

    def __enter__(self) -> DataLock:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._acquire():
            pid = os.read(self._file, 32).decode().strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(
                f"{self._path.parent} belongs to a running agent (pid {pid}); stop it, or give another --data"
            )
        os.truncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())
        return self

    def _acquire(self) -> bool:
        """More than one try, because `holder` takes the lock for a moment to find out who has it."""
        for _ in range(TRIES):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(TRY_S)
            else:
                return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.truncate(self._file, 0)
        os.close(self._file)


def holder(data: Path) -> int | None:
    """Process id of the agent that runs on a data directory; None when there is none."""
    path = data / NAME
    if not path.is_file():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None
