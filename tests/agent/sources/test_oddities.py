"""What lies in folders besides pictures, and folders in which nothing stays as it is."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agent.sources.folder import FolderSource
from storage.queries import Queries
from tests.pictures import tiny

NAMES = ("new\nline.jpg", "\N{GRINNING FACE}.jpg", " .jpg", "a.gif#frame=1", "'\"`$(x).jpg", "-rf")
TERABYTE = 1 << 40
MOVED = 10_000
CALM, RENAMED, RENAMES = 400, 100, 4_000
"""Most stay where they are, or it would look as if the disk were away."""


def test_what_is_no_file_is_passed_over_and_no_name_is_too_odd(
    folder: Path, scan: Callable[..., None], queries: Queries, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(NAMES):
        (folder / name).write_bytes(picture(seed))
    os.mkfifo(folder / "pipe.jpg")
    monkeypatch.chdir(folder)  # the address of a socket has about a hundred letters at most
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")
    for name in ("sparse.jpg", "sparse"):
        with (folder / name).open("wb") as file:
            file.truncate(TERABYTE)
    for _ in range(2):
        scan()
        assert {row.uri for row in queries.pictures() if row.uri} == {str(folder / name) for name in NAMES}
        rejected = {Path(row.uri).name: row.reason for row in queries.pictures(status="rejected")}
        assert list(rejected) == ["sparse.jpg"]
        assert "decode.max_file_mb" in rejected["sparse.jpg"]


@pytest.mark.slow
def test_a_folder_of_ten_thousand_that_is_moved_in_whole(
    running: Callable[..., FolderSource], folder: Path, tmp_path: Path, archive: Any, until: Callable[..., bool]
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    for number in range(MOVED):
        (away / f"{number:05}.png").write_bytes(tiny(number))
    running(rescan_s=3_600)
    away.rename(folder / "moved")
    assert until(lambda: len(archive.present) == MOVED, 250)
    assert len(archive.items) == MOVED


@pytest.mark.slow
def test_after_a_storm_of_renames_and_replacements_what_is_there_is_known_and_nothing_else(
    running: Callable[..., FolderSource], folder: Path, archive: Any, until: Callable[..., bool]
) -> None:
    running(rescan_s=5)
    rng, new = random.Random(0), map(tiny, count())
    places = [folder / "sub", folder]
    places[0].mkdir()
    files = [folder / f"{number}.png" for number in range(RENAMED)]
    for path in (*files, *(folder / f"calm {number}.png" for number in range(CALM))):
        path.write_bytes(next(new))
    assert until(lambda: len(archive.present) == CALM + RENAMED, 60)
    for number in range(RENAMES):
        chosen = rng.randrange(RENAMED)
        files[chosen] = files[chosen].rename(rng.choice(places) / f"{number}-{chosen}.png")
        if number % 40 == 0:
            turn(folder / "both", new)
            replace(folder / "one.png", new)
    assert until(lambda: set(archive.present) == there(folder), 60)
    assert archive.rejections() == []
    read = {frame.origin.uri: frame.sha256 for frame in archive.frames()}
    assert len({read[str(path)] for path in files}) == RENAMED


def turn(path: Path, new: Iterator[bytes]) -> None:
    """A folder becomes a file, and a file a folder."""
    if path.is_dir():
        shutil.rmtree(path)
        path.write_bytes(next(new))
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "inside.png").write_bytes(next(new))


def replace(path: Path, new: Iterator[bytes]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(next(new))
    temporary.rename(path)


def there(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file()}
