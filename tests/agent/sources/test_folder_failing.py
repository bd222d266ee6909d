"""A folder in a world that fails: it vanishes, loses events, hangs its decoders; only the catalogue is in memory."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.api import BaseObserver

import agent.sources.folder as folder_module
from agent.config import DecodeConfig
from agent.decode import DecodePool, Reader
from agent.sources.folder import FolderSource
from agent.sources.observer import native_observer
from agent.sources.watch import Watch
from tests.overflow import overflow
from tests.readers import read_if_allowed

Start = Callable[..., FolderSource]
Until = Callable[..., bool]


def age(path: Path, seconds: float, now: float = time.time()) -> None:
    os.utime(path, (now - seconds, now - seconds))


def test_a_vanished_root_is_offline_and_comes_back(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    for seed in range(4):
        (folder / f"{seed}.jpg").write_bytes(picture(seed))
    source = running()
    assert until(lambda: len(archive.names()) == 4)
    folder.rename(folder.with_name("unmounted"))
    source._on_lost()  # the next scan, which is a minute away, notices it
    assert until(lambda: source.health == "offline")
    folder.mkdir()  # an empty mount point
    time.sleep(0.5)
    assert str(source.health) == "offline"
    shutil.copytree(folder.with_name("unmounted"), folder, dirs_exist_ok=True)  # the same files on another device
    assert until(lambda: source.health == "online")
    assert archive.missing == []
    (folder / "new.jpg").write_bytes(picture(9))
    assert until(lambda: "new.jpg" in archive.names(), 2), "watched again"
    assert len(archive.names()) == 5, "and nothing was read twice"


def test_mass_deletion_is_reported_and_not_believed(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    for seed in range(14):
        (folder / f"{seed}.jpg").write_bytes(picture(seed))
    source = running()
    assert until(lambda: len(archive.names()) == 14)
    for seed in range(12):
        (folder / f"{seed}.jpg").unlink()
    assert until(lambda: source.health == "offline")
    assert "12 of 14" in source.detail
    assert archive.missing == []
    (folder / "new.jpg").write_bytes(picture(20))
    assert until(lambda: "new.jpg" in archive.names())


def test_lost_events_are_made_up_for_by_a_scan(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    observers: list[BaseObserver] = []

    def observer() -> BaseObserver:
        observers.append(native_observer())
        return observers[-1]

    monkeypatch.setattr("agent.sources.watch.native_observer", observer)
    source, said = running(), []
    rules = source._rules
    source._rules = Deaf()  # type: ignore[assignment]
    (folder / "a.jpg").write_bytes(picture(0))
    time.sleep(0.4)
    assert archive.names() == []
    source._rules = rules
    monkeypatch.setattr(source, "_note", lambda name, health, detail: said.append((health, detail)))
    overflow(observers[0])
    assert until(lambda: archive.names() == ["a.jpg"])
    assert source.counts == {"events_lost": 1}
    assert ("degraded", "file events were lost; a scan makes up for them") in said
    assert until(lambda: source.health == "online")


class Deaf:
    def admits(self, _: str) -> bool:
        return False


def test_a_dead_observer_is_started_again(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches = []

    class Recorded(Watch):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            watches.append(self)

    monkeypatch.setattr(folder_module, "Watch", Recorded)
    source = running()
    first = watches[0]._observer
    assert first is not None
    first.stop()
    (folder / "a.jpg").write_bytes(picture(0))
    assert until(lambda: archive.names() == ["a.jpg"])
    assert until(lambda: watches[0]._observer is not first and watches[0].is_alive())
    assert until(lambda: source.counts == {"watch_restarts": 1})


def test_a_catalogue_that_fails_is_waited_for(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.folder.RETRY_S", (0.1,))
    good, failures = archive.known, [RuntimeError("database is locked")] * 3

    def known(uris: Sequence[str]) -> Any:
        if failures:
            raise failures.pop()
        return good(uris)

    monkeypatch.setattr(archive, "known", known)
    (folder / "a.jpg").write_bytes(picture(0))
    source = running()
    assert until(lambda: archive.names() == ["a.jpg"])
    assert failures == []
    assert until(lambda: source.health == "online")


def test_a_file_that_may_not_be_read_is_not_read_at_every_scan_and_is_when_it_may(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    pool = DecodePool(DecodeConfig(workers=1), read_if_allowed)
    try:
        (folder / "a.jpg").write_bytes(picture(0))
        (folder / "a.jpg").chmod(0)
        source = running(pool=pool, observer="polling", poll_s=0.05)
        assert until(lambda: len(archive.items) == 1)
        scanned = source._scanned_at
        assert until(lambda: source._scanned_at > scanned + 0.5)
        assert [item.reason for item in archive.items] == ["cannot be read: Permission denied"]
        (folder / "a.jpg").chmod(0o600)
        assert until(lambda: archive.names() == ["a.jpg"])
    finally:
        pool.close()


def test_a_hang_and_a_crash_do_not_stop_the_others(
    running: Start, folder: Path, archive: Any, picture: Any, faulty: Callable[[str], Reader], until: Until
) -> None:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=1), faulty("read"))
    try:
        for seed, name in enumerate(["hang", "crash", "a", "b", "c"]):
            (folder / f"{name}.jpg").write_bytes(picture(seed))
        running(pool=pool)
        assert until(lambda: len(archive.items) == 5, 15)
    finally:
        pool.close()
    assert sorted(archive.names()) == ["a.jpg", "b.jpg", "c.jpg"]
    assert len(archive.rejections()) == 2


def test_a_file_that_hangs_is_overtaken_and_recorded_when_it_is_given_up(
    running: Start,
    folder: Path,
    archive: Any,
    picture: Any,
    faulty: Callable[[str], Reader],
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.sources.folder.PATIENCE_S", 0.3)
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=120), faulty("read"))
    try:
        for seed, name in enumerate(["hang", *"abcdefghijkl"]):
            (folder / f"{name}.jpg").write_bytes(picture(seed))
            age(folder / f"{name}.jpg", 100 - seed)
        running(pool=pool)
        assert until(lambda: len(archive.frames()) == 12, 60)
        assert archive.rejections() == []
        assert archive.names() == [f"{name}.jpg" for name in "abcdefghijkl"], "the others keep their order"
        for pid in pool._processes.pids():
            os.kill(pid, signal.SIGKILL)
        assert until(lambda: len(archive.rejections()) == 1, 20)
        assert len(archive.items) == 13
    finally:
        pool.close()


def test_all_that_is_there_is_read_in_order_even_past_a_file_that_hangs(
    make: Start,
    folder: Path,
    archive: Any,
    picture: Any,
    faulty: Callable[[str], Reader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.sources.folder.PATIENCE_S", 0.1)
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=1), faulty("read"))
    try:
        for seed, name in enumerate(["hang", *"abc"]):
            (folder / f"{name}.jpg").write_bytes(picture(seed))
            age(folder / f"{name}.jpg", 100 - seed)
        make(pool=pool).drain(threading.Event())
    finally:
        pool.close()
    assert [Path(item.origin.uri).stem for item in archive.items] == ["hang", *"abc"]
