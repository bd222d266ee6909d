"""One agent per data directory and per database file: locks that the kernel gives back when their holder dies.

It knows nothing about what is in either; programs that only read need no lock.
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


class FileLock:
    """Context manager; what the file stands for is this process's until it ends.

    Args:
        what: as people know it.
        remedy: what they may do beside stopping its holder.

    Raises:
        StoreLocked: on entering, when another process holds it.
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        self._path, self._what, self._remedy = path, what, remedy
        self._file = -1

    def __enter__(self) -> FileLock:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not self._acquire():
            pid = os.read(self._file, 32).decode().strip() or "unknown"
            os.close(self._file)
            raise StoreLocked(f"{self._what} belongs to a running agent (pid {pid}); stop it, or {self._remedy}")
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


class DataLock(FileLock):
    """Of a data directory."""

    def __init__(self, data: Path) -> None:
        super().__init__(data / NAME, str(data), "give another --data")


class DatabaseLock(FileLock):
    """Of a database file, which data directories elsewhere may name as theirs (`storage.url`)."""

    def __init__(self, database: Path) -> None:
        database = database.resolve()
        super().__init__(database.with_name(f"{database.name}.lock"), str(database), "set another storage.url")


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
