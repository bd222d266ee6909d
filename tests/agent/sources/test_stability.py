from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from agent.frame import FileStat
from agent.sources.stability import StabilityTracker, file_stat, linked_file_stat


class World:
    """A clock and some files."""

    def __init__(self) -> None:
        self.now = 100.0
        self.files: dict[str, FileStat] = {}
        self.tracker = StabilityTracker(
            lambda path: 5.0 if path.endswith(".gif") else 1.0, self.files.get, lambda: self.now
        )

    def write(self, path: str, size_bytes: int) -> None:
        self.files[path] = FileStat(size_bytes, int(self.now * 1e9))

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        return [path for path, _ in self.tracker.settled()]


@pytest.fixture
def world() -> World:
    return World()


def test_a_file_is_ready_once_and_after_its_time(world: World) -> None:
    world.write("a", 10)
    world.tracker.touch("a")
    assert len(world.tracker) == 1
    assert world.after(0) == []
    assert world.after(0.9) == []
    assert world.after(0.1) == ["a"]
    assert world.after(5) == []
    assert len(world.tracker) == 0


def test_each_hint_starts_the_time_again(world: World) -> None:
    world.write("a", 10)
    for _ in range(50):
        world.tracker.touch("a")
        assert world.after(0.9) == []
    assert world.after(1.0) == ["a"]


def test_looking_again_does_not_start_the_time_again(world: World) -> None:
    world.write("a", 10)
    world.tracker.seen("a")
    assert world.after(0) == []
    assert world.after(0.9) == []
    world.tracker.seen("a")
    assert world.after(0.1) == ["a"]


def test_a_file_that_grows_without_hints_waits_for_ever(world: World) -> None:
    world.write("a", 0)
    world.tracker.touch("a")
    world.after(0)
    for size in range(1, 200):
        world.write("a", size)
        assert world.after(1.0) == []
    assert world.after(1.0) == ["a"]


def test_same_size_but_other_mtime_is_a_change(world: World) -> None:
    world.write("a", 5)
    world.tracker.touch("a")
    world.after(0)
    world.now += 0.5
    world.write("a", 5)
    assert world.after(0.5) == []
    assert world.after(1.0) == ["a"]


def test_what_goes_away_is_dropped(world: World) -> None:
    for path in ("a", "b"):
        world.write(path, 5)
        world.tracker.touch(path)
    world.tracker.touch("never there")
    world.after(0)
    assert len(world.tracker) == 2
    del world.files["a"]
    assert world.after(1.0) == ["b"]
    assert len(world.tracker) == 0


def test_it_says_when_to_look_again(world: World) -> None:
    assert world.tracker.next_in_s() is None
    world.write("a", 5)
    world.tracker.touch("a")
    assert world.tracker.next_in_s() == 0
    world.after(0)
    world.now += 0.25
    assert world.tracker.next_in_s() == pytest.approx(0.75)
    world.now += 5
    assert world.tracker.next_in_s() == 0


def test_without_a_time_to_settle_two_looks_must_agree(world: World) -> None:
    sizes = iter([1, 2, 3, 3])
    tracker = StabilityTracker(lambda _: 0.0, lambda _: FileStat(next(sizes), 0), lambda: 0.0)
    tracker.touch("a")
    assert tracker.settled() == []
    assert tracker.settled() == []
    assert tracker.settled() == [("a", FileStat(3, 0))]


def test_some_wait_longer_and_hold_up_nobody(world: World) -> None:
    for path in ("a.gif", "b", "c.gif", "d"):
        world.write(path, 5)
        world.tracker.touch(path)
    world.after(0)
    assert world.tracker.next_in_s() == 1
    assert world.after(1.0) == ["b", "d"]
    assert world.tracker.next_in_s() == 4
    world.write("c.gif", 6)
    assert world.after(4.0) == ["a.gif"]
    assert len(world.tracker) == 1
    assert world.after(5.0) == ["c.gif"]
    assert world.tracker.next_in_s() is None


def test_hints_may_come_from_any_thread(world: World) -> None:
    paths = [str(n) for n in range(2000)]
    for path in paths:
        world.write(path, 1)

    def touch(part: int) -> None:
        for path in paths[part::4]:
            world.tracker.touch(path)

    threads = [threading.Thread(target=touch, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            world.tracker.settled()
    world.tracker.settled()
    assert sorted(world.after(1.0)) == sorted(paths)


def test_only_regular_files_have_a_stat(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    assert file_stat(str(tmp_path / "file")) == FileStat(3, (tmp_path / "file").stat().st_mtime_ns)
    for name in ("link", "pipe", "", "gone", "nul\0byte"):
        assert file_stat(str(tmp_path / name)) is None
    assert linked_file_stat(str(tmp_path / "link")) == file_stat(str(tmp_path / "file"))
    for name in ("pipe", "", "gone", "nul\0byte"):
        assert linked_file_stat(str(tmp_path / name)) is None
