"""A picture that arrives piece by piece, as a file: DATA/pushed/3f/3f5c...-NAME, named after the hash of its bytes.

What arrives is written down as it comes, so memory does not grow with it. A file is there whole or not at all, and the
same bytes are there once: the first name counts.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from agent.magic import HEAD_BYTES, sniff
from agent.sources.keeping import TEMPORARY, NoRoom, free_bytes

ARRIVING = "arriving"
"""Folder for what is not whole yet."""


class TooLarge(Exception):
    """More bytes came than are allowed."""


class Arriving:
    """One picture on its way to the disk. Whoever makes one calls `keep` or `discard` in the end.

    Args:
        folder: for all such files; made when needed.
        most_bytes: larger ones are given up.
        spare_bytes: room that must be left on the disk besides.

    Attributes:
        head: the first bytes, for `agent.magic.sniff`.

    Raises:
        NoRoom: it would not fit.
    """

    def __init__(self, folder: Path, most_bytes: int, spare_bytes: int) -> None:
        self.head = b""
        self._folder = folder
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._hash = hashlib.sha256()
        self._path = folder / ARRIVING / f".{uuid.uuid4().hex}{TEMPORARY}"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if free_bytes(folder) < spare_bytes + most_bytes:
                raise NoRoom(f"less than push.kept.free_mb ({spare_bytes >> 20} MB) is free; nothing is taken")
            self._file = self._path.open("wb")
        except OSError as error:
            raise NoRoom(f"{folder}: {error.strerror}; nothing is taken") from error

    @property
    def sha256(self) -> str:
        """Of what has come so far."""
        return self._hash.hexdigest()

    def write(self, piece: bytes) -> None:
        """Take some more bytes.

        Raises:
            TooLarge, NoRoom: it cannot be kept any more.
        """
        self._size_bytes += len(piece)
        if self._size_bytes > self._most_bytes:
            raise TooLarge
        self._hash.update(piece)
        self.head += piece[: HEAD_BYTES - len(self.head)] if len(self.head) < HEAD_BYTES else b""
        try:
            self._file.write(piece)
        except OSError as error:
            raise NoRoom(f"{self._folder}: {error.strerror}; nothing is taken") from error

    def keep(self, name: str) -> tuple[Path, bool]:
        """The file, whole and synced, and whether the same bytes lay there before.

        Not for two pictures of the same content at once.

        Raises:
            NoRoom: it cannot be kept.
        """
        shelf = self._folder / self.sha256[:2]
        try:
            before = min(shelf.glob(f"{self.sha256}*"), default=None)
            if before is not None:
                return before, True
            self._file.flush()
            os.fsync(self._file.fileno())
            shelf.mkdir(exist_ok=True)
            path = shelf / f"{self.sha256}{self._ending(name)}"
            self._path.replace(path)
            _sync(shelf)
        except OSError as error:
            raise NoRoom(f"{self._folder}: {error.strerror}; nothing is taken") from error
        finally:
            self.discard()
        return path, False

    def discard(self) -> None:
        """Leave nothing half written behind; may be called again."""
        try:
            self._file.close()
        except OSError:  # what was not written yet does not fit, and is not wanted
            pass
        finally:
            self._path.unlink(missing_ok=True)

    def _ending(self, name: str) -> str:
        return f"-{name}" if name else f".{(sniff(self.head) or 'unknown').lower()}"


def _sync(folder: Path) -> None:
    """Make the names in a folder survive a loss of power: after that the sender may delete its own copy."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
