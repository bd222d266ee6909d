"""How often a folder is looked through, and what it costs."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.api import BaseObserver

import agent.sources.folder as folder_module
from agent.sources.folder import FolderSource
from agent.sources.listing import Listing

Start = Callable[..., FolderSource]
Until = Callable[..., bool]


class Slow:
    """A world where each scan takes `scan_s`, and time passes only when it is told to."""

    def __init__(self, source: FolderSource, monkeypatch: pytest.MonkeyPatch, scan_s: float) -> None:
        self.now_s = 1_000.0
        self.scans_s: list[float] = []
        self._source = source
        source._clock = lambda: self.now_s
        source._choose_watch()
        monkeypatch.setattr(folder_module, "TICK_S", 0.0)

        def files(_: Listing, root: str, stop: threading.Event) -> Iterator[Any]:
            self.scans_s.append(self.now_s)
            self.now_s += scan_s
            return iter(())

        monkeypatch.setattr(Listing, "files", files)

    def live(self, seconds: float, watch: Any = None, each: Callable[[], None] = lambda: None) -> list[float]:
        """Turns until so much time has passed; when scans began."""
        self.scans_s.clear()
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            each()
            self._source._turn(watch, threading.Event())
            self.now_s += 0.5
        return self.scans_s


class Hearing:
    def __init__(self) -> None:
        self.trouble = ""
        self.losses: dict[str, int] = {}

    def revive(self) -> bool:
        return True


def test_polling_takes_a_tenth_of_the_time_at_most_and_not_in_step(
    make: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(observer="polling", poll_s=5)
    source._rng = random.Random(0)
    world = Slow(source, monkeypatch, scan_s=4.0)
    begun_s = world.live(5_000)
    assert 4.0 * len(begun_s) <= 0.11 * 5_000
    gaps_s = [later - earlier - 4.0 for earlier, later in pairwise(begun_s[1:])]
    assert len(gaps_s) > 50
    assert 36 <= min(gaps_s) < 39 < 41 < max(gaps_s) <= 45
    quick = Slow(make(observer="polling", poll_s=5), monkeypatch, scan_s=0.1).live(500)
    assert 80 < len(quick) < 110


def test_files_that_keep_leaving_cost_a_twentieth_of_the_time_at_most(
    make: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(rescan_s=100_000)
    world = Slow(source, monkeypatch, scan_s=4.0)
    world.live(10, Hearing())
    begun_s = world.live(2_000, Hearing(), lambda: source._on_left(str(folder / "gone.jpg")))
    assert 4.0 * len(begun_s) <= 2_000 / 20
    assert len(begun_s) >= 20
    assert world.live(2_000, Hearing())[1:] == [], "and nobody scans when nothing leaves"


@pytest.mark.parametrize(
    ("mode", "kind", "chosen"),
    [
        ("auto", "nfs4", ("polling", "nfs4 does not tell of changes that others make")),
        ("auto", "ext4", ("native", "ext4 tells of changes")),
        ("auto", None, ("native", "what file system it is on is not known")),
        ("polling", "ext4", ("polling", "folder.observer is polling")),
        ("native", "nfs4", ("native", "folder.observer is native")),
    ],
)
def test_the_observer_in_use_is_told_with_the_reason(
    running: Start, until: Until, monkeypatch: pytest.MonkeyPatch, mode: str, kind: str | None, chosen: tuple[str, str]
) -> None:
    monkeypatch.setattr("agent.sources.folder.filesystem_of", lambda _: kind)
    source = running(observer=mode)
    assert until(lambda: (source.observer, source.observer_why) == chosen)


def test_what_is_there_is_read_while_the_watches_are_still_being_added(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, start = threading.Event(), BaseObserver.start
    monkeypatch.setattr(BaseObserver, "start", lambda observer: released.wait(60) and start(observer))
    (folder / "before.jpg").write_bytes(picture(0))
    source = running()
    assert until(lambda: archive.names() == ["before.jpg"])
    (folder / "meanwhile.jpg").write_bytes(picture(1))
    assert until(lambda: "meanwhile.jpg" in archive.names()), "scanned, as nothing is told yet"
    scans = source._config.poll_s
    monkeypatch.setattr(source, "_config", source._config.model_copy(update={"poll_s": 600}))
    time.sleep(2 * scans)
    (folder / "between.jpg").write_bytes(picture(2))
    released.set()
    assert until(lambda: "between.jpg" in archive.names()), "a scan makes up for what nobody watched"
    (folder / "after.jpg").write_bytes(picture(3))
    assert until(lambda: "after.jpg" in archive.names(), 3), "and then it is told"


def test_it_stops_in_time_while_the_watches_are_being_added(
    make: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, stop = threading.Event(), threading.Event()
    monkeypatch.setattr(BaseObserver, "start", lambda observer: released.wait(60))
    (folder / "a.jpg").write_bytes(picture(0))
    thread = threading.Thread(target=make().run, args=(stop,), daemon=True)
    thread.start()
    assert until(lambda: archive.names() == ["a.jpg"])
    began = time.monotonic()
    stop.set()
    thread.join(10)
    assert time.monotonic() - began < 2
    released.set()
