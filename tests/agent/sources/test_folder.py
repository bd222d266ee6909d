"""A folder that is drained: real files, real workers; only the catalogue is in memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.config import DecodeConfig, FolderConfig
from agent.decode import DecodePool, Reader
from agent.sources.folder import FolderSource
from agent.sources.protocol import Source, SourceError
from storage.errors import StoreLocked

Start = Callable[..., FolderSource]
Until = Callable[..., bool]


def age(path: Path, seconds: float, now: float = time.time()) -> None:
    os.utime(path, (now - seconds, now - seconds))


def test_drain_reads_all_in_order_of_time_and_path(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    ages = {"new.jpg": 10, "sub/old.jpg": 300, "b.jpg": 100, "a.png": 100, "note.txt": 50}
    for seed, (name, seconds) in enumerate(ages.items()):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"text" if name.endswith("txt") else picture(seed))
        age(path, seconds)
    source: Source = make()
    source.drain(threading.Event())
    assert archive.names() == ["old.jpg", "a.png", "b.jpg", "new.jpg"]
    assert archive.inbox.depth == 0
    assert archive.rejections() == []


def test_a_second_drain_reads_nothing(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    for seed in range(5):
        (folder / f"{seed}.jpg").write_bytes(picture(seed))
    (folder / "broken.jpg").write_bytes(picture(9)[:300])
    make().drain(threading.Event())
    assert len(archive.items) == 6
    make().drain(threading.Event())
    assert len(archive.items) == 6


def test_drain_waits_for_a_database_that_is_locked(
    make: Start, folder: Path, archive: Any, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.patience.RETRY_S", (0.05,))
    good, failures = archive.known, [StoreLocked("taxon.db is locked")] * 3

    def known(uris: Sequence[str]) -> Any:
        if failures:
            raise failures.pop()
        return good(uris)

    monkeypatch.setattr(archive, "known", known)
    (folder / "a.jpg").write_bytes(picture(0))
    make().drain(threading.Event())
    assert archive.names() == ["a.jpg"]
    assert failures == []


def test_drain_waits_for_a_slow_copy(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    data = picture(1, side=200)
    (folder / "done.jpg").write_bytes(picture(0))

    def copy() -> None:
        with (folder / "slow.jpg").open("wb", buffering=0) as file:
            for start in range(0, len(data), len(data) // 12):
                file.write(data[start : start + len(data) // 12])
                time.sleep(0.06)

    thread = threading.Thread(target=copy)
    thread.start()
    time.sleep(0.02)
    make().drain(threading.Event())
    thread.join()
    assert archive.names() == ["done.jpg", "slow.jpg"]
    assert archive.rejections() == []


def test_drain_of_a_missing_folder_says_so(make: Start, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(SourceError, match="watched is not a folder"):
        make().drain(threading.Event())


def test_drain_stops_when_told(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    archive.pause_s = 10
    for seed in range(30):
        (folder / f"{seed}.jpg").write_bytes(picture(seed))
    stop = threading.Event()
    threading.Timer(0.4, stop.set).start()
    began = time.monotonic()
    make().drain(stop)
    assert time.monotonic() - began < 2.4


def test_broken_and_empty_files_are_rejected_with_a_reason_and_read_again_when_they_change(
    make: Start, folder: Path, archive: Any, picture: Any
) -> None:
    (folder / "cut.jpg").write_bytes(picture(0)[:400])
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("hello")
    make().drain(threading.Event())
    reasons = {Path(item.origin.uri).name: item.reason for item in archive.rejections()}
    assert reasons.keys() == {"cut.jpg", "empty.jpg", "text.png"}
    assert reasons["cut.jpg"].startswith("truncated JPEG")
    assert reasons["empty.jpg"] == "zero bytes"
    assert reasons["text.png"] == "not an image"
    (folder / "cut.jpg").write_bytes(picture(0))
    make().drain(threading.Event())
    assert archive.names() == ["cut.jpg"]
    assert len(archive.rejections()) == 3


def test_the_data_directory_inside_is_left_alone(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    data = folder / "taxon-data"
    data.mkdir()
    (data / "thumb.jpg").write_bytes(picture(0))
    (folder / "a.jpg").write_bytes(picture(1))
    make(exclude=[data]).drain(threading.Event())
    assert archive.names() == ["a.jpg"]


def test_names_that_are_not_utf_8_and_odd_suffixes(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    for name in (b"caf\xe9.JPG", b"picture", "雪.jpeg".encode()):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(picture(len(name)))
    make().drain(threading.Event())
    assert sorted(archive.names()) == sorted(["caf\\xe9.JPG", "picture", "雪.jpeg"])
    assert len(archive.asked) > 0
    before = len(archive.items)
    make().drain(threading.Event())
    assert len(archive.items) == before, "known by its escaped name"
    assert archive.missing == []


def test_the_same_bytes_twice_are_two_frames_of_one_hash(make: Start, folder: Path, archive: Any, picture: Any) -> None:
    (folder / "a.jpg").write_bytes(picture(0))
    (folder / "b.jpg").write_bytes(picture(0))
    make().drain(threading.Event())
    first, second = archive.frames()
    assert first.sha256 == second.sha256
    assert first.origin.uri != second.origin.uri


def test_what_grows_is_not_read_however_wrong_the_clock_of_its_disk_is(
    folder: Path, archive: Any, pool: DecodePool, picture: Any, until: Until
) -> None:
    config = FolderConfig(settle_s=1, poll_s=0.1, observer="polling")
    ahead = lambda: time.time_ns() + 3600 * 10**9  # noqa: E731
    source = FolderSource(folder, "here", config, archive, pool, archive.inbox, wall_ns=ahead)
    stop, data = threading.Event(), picture(1, side=200)
    (folder / "old.jpg").write_bytes(picture(0))
    age(folder / "old.jpg", 86_400)
    for awake in [pool.submit(folder / "old.jpg", "here") for _ in range(pool.workers)]:
        awake.result(20)
    with (folder / "slow.jpg").open("wb", buffering=0) as file:
        thread = threading.Thread(target=source.run, args=(stop,), daemon=True)
        thread.start()
        for start in range(0, len(data), len(data) // 3):
            file.write(data[start : start + len(data) // 3])
            time.sleep(0.4)
    assert until(lambda: archive.names() == ["old.jpg", "slow.jpg"]), "though scans come more often than files settle"
    stop.set()
    thread.join(5)
    assert archive.rejections() == []


def test_a_slow_consumer_holds_the_source_back(
    make: Start, folder: Path, archive: Any, picture: Any, pool: DecodePool, until: Until
) -> None:
    archive.pause_s = 60
    archive.inbox._capacity = 3
    for seed in range(60):
        (folder / f"{seed:02d}.jpg").write_bytes(picture(seed))
        age(folder / f"{seed:02d}.jpg", 100)
    source, stop = make(), threading.Event()
    thread = threading.Thread(target=source.drain, args=(stop,))
    thread.start()
    assert until(lambda: archive.inbox.depth == 3)
    time.sleep(0.3)
    assert archive.inbox.depth == 3
    assert len(source._in_flight) <= 4 * pool.workers
    stop.set()
    began = time.monotonic()
    thread.join(5)
    assert time.monotonic() - began < 2


def test_a_file_that_changes_while_it_is_read_is_read_again(
    make: Start, folder: Path, archive: Any, picture: Any, faulty: Callable[[str], Reader], until: Until
) -> None:
    pool = DecodePool(DecodeConfig(workers=1), faulty("read"))
    try:
        path = folder / "late.jpg"
        path.write_bytes(picture(0)[:500])
        age(path, 100)
        source = make(pool=pool)
        thread = threading.Thread(target=source.drain, args=(threading.Event(),))
        thread.start()
        assert until(lambda: bool(source._in_flight) and source._in_flight._waiting[0].task.running(), 10)
        time.sleep(0.2)  # it has been read, and is not delivered yet
        path.write_bytes(picture(0))
        thread.join(20)
    finally:
        pool.close()
    assert archive.names() == ["late.jpg"]
    assert archive.rejections() == [], "what was read first was never the file"
