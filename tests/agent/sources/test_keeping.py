"""Kept pictures on the disk: whole or not there, named by both times, and gone when they must go."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from agent.config import KeptConfig
from agent.sources.keeping import Keeper, NoRoom, encode
from agent.sources.retention import DAY_S, KeptFile, doomed, listing, remove, sweep_torn

AT = datetime(2026, 11, 25, 9, 30, 12, 345678, tzinfo=UTC)
MB = 1 << 20


def test_a_kept_file_says_when_it_was_taken_and_what_the_stream_said(tmp_path: Path) -> None:
    path, stat = Keeper(tmp_path / "front", KeptConfig(free_mb=0)).keep(b"jpeg", AT, 12.48)
    assert path == tmp_path / "front" / "2026-11-25" / "093012.345678-12480.jpg"
    assert path.read_bytes() == b"jpeg"
    facts = path.stat()
    assert (stat.size_bytes, stat.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert abs(facts.st_mtime - AT.timestamp()) < 1e-3
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_equal_pictures_are_equal_files() -> None:
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert encode(pixels_HWC, 90) == encode(pixels_HWC.copy(), 90)


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "front", KeptConfig(free_mb=100), free=lambda folder: 100 * MB)
    with pytest.raises(NoRoom, match="camera.kept.free_mb"):
        keeper.keep(b"jpeg", AT, None)
    assert not listing(tmp_path / "front")


def test_a_disk_that_fills_up_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoom, match="No space left"):
        Keeper(tmp_path / "front", KeptConfig(free_mb=0)).keep(b"jpeg", AT, None)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def files(*sizes_mb: int) -> list[KeptFile]:
    """Files kept a day apart, the oldest first; in no order."""
    made = [KeptFile(day * DAY_S, f"{day}.jpg", size * MB) for day, size in enumerate(sizes_mb)]
    return made[::-1]


@pytest.mark.parametrize(
    ("rules", "free_mb", "gone"),
    [
        ({}, 10_000, []),
        ({"days": 2}, 10_000, ["0.jpg", "1.jpg"]),
        ({"max_mb": 25}, 10_000, ["0.jpg", "1.jpg"]),
        ({"max_mb": 1}, 10_000, ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]),
        ({"free_mb": 100}, 85, ["0.jpg", "1.jpg"]),
        ({"free_mb": 100}, 100, []),
        ({"days": 2, "max_mb": 15}, 10_000, ["0.jpg", "1.jpg", "2.jpg"]),
    ],
)
def test_the_oldest_go_until_every_rule_is_kept(rules: dict[str, float], free_mb: int, gone: list[str]) -> None:
    config = KeptConfig.model_validate({"free_mb": 0, **rules})
    going = doomed(files(10, 10, 10, 10), config, now_s=4 * DAY_S, free_bytes=free_mb * MB)
    assert [file.path for file in going] == gone


def test_a_film_from_last_year_is_new_here(tmp_path: Path) -> None:
    config = KeptConfig(free_mb=0, days=1)
    Keeper(tmp_path, config).keep(b"jpeg", AT - timedelta(days=400), 0.0)
    now_s = datetime.now(UTC).timestamp()
    assert not doomed(listing(tmp_path), config, now_s, free_bytes=1 << 40)
    assert doomed(listing(tmp_path), config, now_s + 2 * DAY_S, free_bytes=1 << 40)


def test_files_and_empty_folders_are_removed_and_torn_ones_swept(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, KeptConfig(free_mb=0))
    for hours in (0, 1, 24):
        keeper.keep(b"jpeg", AT + timedelta(hours=hours), None)
    torn = tmp_path / "2026-11-26" / ".torn.jpg.part"
    torn.write_bytes(b"jp")
    assert len(listing(tmp_path)) == 3
    sweep_torn(tmp_path)
    assert not torn.exists()
    today = [file for file in listing(tmp_path) if "2026-11-25" in file.path]
    Path(today[0].path).unlink()
    remove(today)
    assert [day.name for day in tmp_path.iterdir()] == ["2026-11-26"]
    assert listing(tmp_path / "nowhere") == []
