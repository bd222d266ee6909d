"""Real files, a real observer, real workers; only the catalogue is in memory."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from watchdog.observers.api import BaseObserver

import agent.sources.folder as folder_module
from agent.config import DecodeConfig, FolderConfig
from agent.decode import DecodePool, Reader
from agent.sources.folder import FolderSource
from agent.sources.listing import Listing
from agent.sources.observer import native_observer
from agent.sources.protocol import Source, SourceError
from agent.sources.watch import Watch
from storage.errors import StoreLocked
from tests.overflow import overflow
from tests.readers import read_if_allowed

Start = Callable[..., FolderSource]
Until = Callable[..., bool]


# -------------------------------------------------------------------- draining


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


# -------------------------------------------------------------------- watching


def test_files_there_before_and_files_that_come(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    (folder / "before.jpg").write_bytes(picture(0))
    source = running()
    assert until(lambda: archive.names() == ["before.jpg"])
    (folder / "after.jpg").write_bytes(picture(1))
    assert until(lambda: archive.names() == ["before.jpg", "after.jpg"], 2), "without waiting for a scan"
    assert (source.health, source.detail) == ("online", "")


def test_a_slow_writer_is_read_once_and_whole(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    running()
    data = picture(1, side=200)
    with (folder / "slow.jpg").open("wb", buffering=0) as file:
        for start in range(0, len(data), len(data) // 10):
            file.write(data[start : start + len(data) // 10])
            time.sleep(0.05)
    assert until(lambda: archive.names() == ["slow.jpg"])
    assert archive.rejections() == []


@pytest.mark.parametrize("name", ["scan.TIF", "film.gif"])
def test_a_scanner_that_closes_a_file_and_adds_to_it_later_gives_one_picture(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, name: str
) -> None:
    pages = [Image.open(BytesIO(picture(seed))) for seed in range(3)]
    buffer = BytesIO()
    pages[0].save(buffer, "TIFF" if name.endswith("TIF") else "GIF", save_all=True, append_images=pages[1:])
    whole = buffer.getvalue()
    running(settle_paged_s=1.5)
    (folder / name).write_bytes(whole[: len(whole) // 2])  # a picture already
    (folder / "other.jpg").write_bytes(picture(9))
    time.sleep(0.75)
    with (folder / name).open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    assert until(lambda: name in archive.names())
    assert archive.names() == ["other.jpg", name]
    assert archive.frames()[1].sha256 == sha256(whole).hexdigest()


def test_ways_to_come_that_are_never_closed(
    running: Start, folder: Path, tmp_path: Path, archive: Any, picture: Any, until: Until
) -> None:
    running()
    outside = tmp_path / "outside"
    outside.mkdir()
    for seed, name in enumerate(["moved.jpg", "linked.jpg", "tree/deep/a.jpg", "tree/b.jpg"]):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_bytes(picture(seed))
    (outside / "moved.jpg").rename(folder / "moved.jpg")
    (folder / "linked.jpg").hardlink_to(outside / "linked.jpg")
    (outside / "tree").rename(folder / "tree")
    (folder / ".upload.tmp").write_bytes(picture(9))
    (folder / ".upload.tmp").rename(folder / "uploaded.jpg")
    assert until(lambda: sorted(archive.names()) == ["a.jpg", "b.jpg", "linked.jpg", "moved.jpg", "uploaded.jpg"])
    (folder / "tree" / "deep" / "later.jpg").write_bytes(picture(10))
    assert until(lambda: "later.jpg" in archive.names())


def test_folders_made_and_filled_at_once(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    running()
    for seed in range(40):
        deep = folder / f"d{seed}" / "e" / "f"
        deep.mkdir(parents=True)
        (deep / f"{seed}.jpg").write_bytes(picture(seed))
    assert until(lambda: len(archive.names()) == 40), len(archive.names())
    assert len(set(archive.names())) == 40


def test_a_folder_that_appears_is_scanned_even_if_nothing_in_it_is_reported(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    source = running(observer="polling", poll_s=60)
    (folder / "new" / "deep").mkdir(parents=True)
    (folder / "new" / "deep" / "a.jpg").write_bytes(picture(0))
    source._on_appeared(str(folder / "new"))
    assert until(lambda: archive.names() == ["a.jpg"])


def test_a_rename_is_a_new_place_and_the_old_one_is_missing(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    (folder / "a.jpg").write_bytes(picture(0))
    running()
    assert until(lambda: archive.names() == ["a.jpg"])
    (folder / "a.jpg").rename(folder / "b.jpg")
    assert until(lambda: archive.names() == ["a.jpg", "b.jpg"])
    assert archive.frames()[0].sha256 == archive.frames()[1].sha256
    assert until(lambda: archive.missing == [str(folder / "a.jpg")]), "long before the next scan is due"


def test_a_picture_edited_in_place_is_read_again(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    path = folder / "a.jpg"
    path.write_bytes(picture(0))
    running()
    assert until(lambda: len(archive.frames()) == 1)
    path.write_bytes(picture(1))
    assert until(lambda: len(archive.frames()) == 2)
    assert archive.frames()[0].sha256 != archive.frames()[1].sha256


def test_an_empty_file_that_is_filled_later(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    running()
    (folder / "a.jpg").touch()
    assert until(lambda: [item.reason for item in archive.rejections()] == ["zero bytes"])
    (folder / "a.jpg").write_bytes(picture(0))
    assert until(lambda: archive.names() == ["a.jpg"])


def test_a_touch_or_a_change_of_mode_reads_nothing_anew(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    (folder / "a.jpg").write_bytes(picture(0))
    source = running()
    assert until(lambda: archive.names() == ["a.jpg"])
    (folder / "a.jpg").chmod(0o600)
    (folder / "b.jpg").write_bytes(picture(1))
    assert until(lambda: archive.names() == ["a.jpg", "b.jpg"])
    assert until(lambda: len(source._tracker) == 0)
    assert archive.names() == ["a.jpg", "b.jpg"]


def test_hidden_and_excluded_files_stay_unseen(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    data = folder / "taxon-data"
    data.mkdir()
    running(exclude=[data])
    for name in (".hidden.jpg", "x.part", "taxon-data/thumb.jpg", "seen.jpg"):
        (folder / name).write_bytes(picture(len(name)))
    assert until(lambda: archive.names() == ["seen.jpg"])
    time.sleep(0.3)
    assert archive.names() == ["seen.jpg"]


@pytest.mark.parametrize("observer", ["polling", "auto"])
def test_polling_where_events_are_silent(
    running: Start,
    folder: Path,
    archive: Any,
    picture: Any,
    until: Until,
    observer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.sources.folder.filesystem_of", lambda _: "nfs4")
    monkeypatch.setattr("agent.sources.folder.Watch", None)  # would fail if it were made
    running(observer=observer)
    (folder / "a.jpg").write_bytes(picture(0))
    assert until(lambda: archive.names() == ["a.jpg"], 3)
    asked = len(archive.asked)
    time.sleep(0.9)
    assert len(archive.asked) <= asked + 1, "unchanged files are not asked about again and again"


def test_a_refused_observer_is_replaced_by_scans(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.api.BaseObserver.schedule", refuse)
    source = running(observer="native")
    (folder / "a.jpg").write_bytes(picture(0))
    assert until(lambda: archive.names() == ["a.jpg"], 3)
    assert source.health == "degraded"
    assert "fs.inotify.max_user_watches" in source.detail
    assert source.observer == "polling"
    assert "fs.inotify.max_user_watches" in source.observer_why


def test_only_the_folder_itself_is_watched_by_setting(
    running: Start, folder: Path, archive: Any, picture: Any, until: Until
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "before.jpg").write_bytes(picture(0))
    source = running(recursive=False)
    for seed, name in enumerate(["sub/after.jpg", "new/deep.jpg", "here.jpg"]):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(picture(seed + 1))
    assert until(lambda: archive.names() == ["here.jpg"], 3), "by events"
    source._on_lost()
    (folder / "later.jpg").write_bytes(picture(9))
    assert until(lambda: len(archive.names()) == 2)
    assert archive.names() == ["here.jpg", "later.jpg"]


def test_links_are_followed_by_setting(
    running: Start, folder: Path, tmp_path: Path, archive: Any, picture: Any, until: Until
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(picture(0))
    (outside / "b.jpg").write_bytes(picture(1))
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    source = running(follow_links=True, rescan_s=0.3)
    assert until(lambda: archive.names() == ["a.jpg", "b.jpg"])
    assert set(archive.present) == {str(folder / "linked" / name) for name in ("a.jpg", "b.jpg")}
    (outside / "later.jpg").write_bytes(picture(2))
    (folder / "one.jpg").symlink_to(tmp_path / "single")
    (tmp_path / "single").write_bytes(picture(3))
    assert until(lambda: len(archive.names()) == 4)
    (outside / "b.jpg").unlink()
    assert until(lambda: archive.missing == [str(folder / "linked" / "b.jpg")])
    assert (source.health, len(archive.names())) == ("online", 4)


# -------------------------------------------------------------------- how often


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


# -------------------------------------------------------------------- a world that fails


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
