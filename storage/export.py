"""Exports: CSV, JSON, and a folder a kind. Writes what it is given; knows nothing about the database."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

from storage.errors import StorageError
from storage.rows import ExportRow

COLUMNS = tuple(field.name for field in fields(ExportRow))
How = Literal["symlink", "copy", "hardlink"]
MAGIC = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"RIFF", ".webp"), (b"GIF8", ".gif"))
NAME_LIMIT = 60
STEM_BYTES, SUFFIX_BYTES = 200, 32
"""With the digits in between, less than the 255 bytes that a file's name may have."""


def write_csv(rows: Iterable[ExportRow], stream: TextIO) -> None:
    """A header and one line a row: ids and probabilities empty if none, `is_core` true or false, times ISO 8601 UTC."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(value) for value in values(row).values()])


def write_json(rows: Iterable[ExportRow], stream: TextIO) -> None:
    """A list of objects with the same columns; null if none. Written as it is read, so that memory stays flat."""
    stream.write("[")
    for number, row in enumerate(rows):
        stream.write("\n" if number == 0 else ",\n")
        stream.write(json.dumps(values(row), ensure_ascii=False))
    stream.write("\n]\n")


def values(row: ExportRow) -> dict[str, str | int | float | bool | None]:
    """A row as plain values, by column."""
    return {name: _plain(getattr(row, name)) for name in COLUMNS}


def _plain(value: object) -> str | int | float | bool | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float):
        return round(value, 6)  # a float32 has no more to say
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an export")


def _cell(value: str | int | float | bool | None) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


# -------------------------------------------------------------------------- folders


def write_folders(
    rows: Iterable[ExportRow],
    out: Path,
    how: How = "symlink",
    *,
    thumbnail: Callable[[str], bytes | None],
) -> int:
    """A folder a kind (`0007 red cars`), `unassigned` and `pending`; each picture once, rejected files left out.

    Args:
        out: made when missing; must be empty, because files of an older export would lie beside the new ones.
        thumbnail: the stored thumbnail by content hash, taken where the original is gone (`Queries.thumbnail`).

    Returns:
        How many pictures were written.

    Raises:
        StorageError: `out` is not an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError(f"{out} is not an empty folder; choose a new one for --out")
    out.mkdir(parents=True, exist_ok=True)
    gone: dict[str, Path] = {}
    written: set[str] = set()
    for row in rows:
        if row.status == "rejected" or row.sha256 in written:
            continue
        folder = out / folder_name(row)
        if _place(Path(row.uri), folder, row, how):
            written.add(row.sha256)
        else:
            gone.setdefault(row.sha256, folder)  # another location of the same picture may still come
    for sha256, folder in gone.items():
        image = None if sha256 in written else thumbnail(sha256)
        if image is not None:
            folder.mkdir(exist_ok=True)
            (folder / f"{sha256[:16]}{_suffix(image)}").write_bytes(image)
            written.add(sha256)
    return len(written)


def folder_name(row: ExportRow) -> str:
    """The name of a kind's folder; safe on any file system."""
    if row.cluster_id is None:
        return row.status
    return f"{row.cluster_id:04d} {_safe(row.cluster_name)}".strip()


def _safe(name: str) -> str:
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", name)[:NAME_LIMIT].strip(" .")


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _place(original: Path, folder: Path, row: ExportRow, how: How) -> bool:
    """Put an original into the folder; False when there is none."""
    if not original.is_absolute() or not os.path.isfile(original):  # False, too, for a name that is too long
        return False
    folder.mkdir(exist_ok=True)
    stem, suffix = _cut(_safe(original.stem), STEM_BYTES), _cut(original.suffix, SUFFIX_BYTES)
    target = folder / f"{stem}-{row.sha256[:8]}{suffix}"
    if how == "symlink":
        target.symlink_to(original)
    elif how == "copy":
        shutil.copy2(original, target)
    else:
        _link(original, target)
    return True


def _link(original: Path, target: Path) -> None:
    try:
        os.link(original, target)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(original, target)


def _suffix(image: bytes) -> str:
    return next((suffix for magic, suffix in MAGIC if image.startswith(magic)), ".bin")
