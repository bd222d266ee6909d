"""Which kept files must go: the old, then the oldest while there are too many bytes or too little room.

They lie in folders of one folder: a camera's by day, what was pushed by hash.

Age counts from when a file was kept, not from when it was taken: a film from last year is new here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.config import RetentionConfig
from agent.sources.keeping import SUFFIX, TEMPORARY

DAY_S = 86_400


@dataclass(frozen=True, slots=True, order=True)
class KeptFile:
    """One file, ordered by when it was kept (seconds since the epoch)."""

    kept_s: float
    path: str
    size_bytes: int


def doomed(files: Sequence[KeptFile], config: RetentionConfig, now_s: float, free_bytes: int) -> list[KeptFile]:
    """The files that must go, oldest first.

    Args:
        free_bytes: room on their disk.
    """
    too_many = sum(file.size_bytes for file in files) - (config.max_mb << 20)
    too_full = (config.free_mb << 20) - free_bytes
    going: list[KeptFile] = []
    for file in sorted(files):
        if now_s - file.kept_s <= config.days * DAY_S and too_many <= 0 and too_full <= 0:
            break
        going.append(file)
        too_many -= file.size_bytes
        too_full -= file.size_bytes
    return going


def listing(folder: Path, suffix: str = SUFFIX) -> list[KeptFile]:
    """All whole files that were kept there and end so; none where there is no folder."""
    return [_kept(entry) for entry in _files(folder) if entry.name.endswith(suffix) and not _is_torn(entry.name)]


def sweep_torn(folder: Path) -> None:
    """Remove what a killed writer left half written; nobody may be writing."""
    for entry in _files(folder):
        if _is_torn(entry.name):
            os.unlink(entry.path)


def _is_torn(name: str) -> bool:
    """No whole file is hidden, whatever its sender calls it: `7.jpg.part` may be a picture's name."""
    return name.startswith(".") and name.endswith(TEMPORARY)


def remove(files: Sequence[KeptFile]) -> None:
    """Delete files and the folders that become empty; what is gone already is no error."""
    for file in files:
        Path(file.path).unlink(missing_ok=True)
    for day in {os.path.dirname(file.path) for file in files}:
        with suppress(OSError):  # others are in it, or it has gone by itself
            os.rmdir(day)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as days:
        for day in days:
            if day.is_dir(follow_symlinks=False):
                with os.scandir(day) as entries:
                    yield from (entry for entry in entries if entry.is_file(follow_symlinks=False))


def _kept(entry: os.DirEntry[str]) -> KeptFile:
    facts = entry.stat(follow_symlinks=False)
    return KeptFile(facts.st_ctime, entry.path, facts.st_size)
