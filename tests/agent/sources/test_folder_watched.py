"""A folder that is watched: real files, a real observer, real workers; only the catalogue is in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.sources.folder import FolderSource

Start = Callable[..., FolderSource]
Until = Callable[..., bool]


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
