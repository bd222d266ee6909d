"""Which file system a folder lies on, and whether the kernel reports changes there that others make.

It reads Linux's mount table; where there is none, nothing is known and native events are tried.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNT_TABLE = Path("/proc/self/mountinfo")

# `fakeowner` is what Docker Desktop calls a folder of its host, `drvfs` what the first WSL called a Windows disk.
_SILENT = re.compile(
    r"nfs\d?|cifs|smb3?|smbfs|ncpfs|afs|9p|virtiofs|drvfs|vboxsf|prl_fs|vmhgfs|fakeowner|ceph|glusterfs|fuse(\..+)?"
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def filesystem_of(folder: str, table: str | None = None) -> str | None:
    """The type of the file system that holds a folder, such as `ext4` or `fuse.sshfs`; None where unknown.

    Args:
        table: text of the mount table; default: this process's own.
    """
    if table is None:
        try:
            table = MOUNT_TABLE.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    real = os.path.realpath(folder)
    best, kind = "", None
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields, types = left.split(), right.split()
        if len(fields) < 5 or not types:
            continue
        point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
        if len(point) >= len(best) and _lies_within(real, point):  # of equal points the later mount is on top
            best, kind = point, types[0]
    return kind


def misses_events(filesystem: str | None) -> bool:
    """Whether changes made elsewhere go unreported on this type of file system (network, FUSE, shared folders)."""
    return filesystem is not None and _SILENT.fullmatch(filesystem) is not None


def chosen_observer(mode: str, filesystem: str | None) -> tuple[str, str]:
    """How changes between scans are noticed, `native` or `polling`, and why, for people.

    Args:
        mode: the setting `folder.observer`.
        filesystem: as `filesystem_of` gives it.
    """
    if mode != "auto":
        return mode, f"folder.observer is {mode}"
    if misses_events(filesystem):
        return "polling", f"{filesystem} does not tell of changes that others make"
    return "native", f"{filesystem} tells of changes" if filesystem else "what file system it is on is not known"


def _lies_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
