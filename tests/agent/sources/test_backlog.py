from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.frame import FileStat
from agent.sources.backlog import ASK_AT_ONCE, Backlog, fingerprint


class Stored:
    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, int]] = {}
        self.asked: list[int] = []

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        self.asked.append(len(uris))
        return {uri: self.rows[uri] for uri in uris if uri in self.rows}

    def present_uris(self, source: str) -> Iterator[str]:
        return iter(self.rows)

    def mark_missing(self, uris: Sequence[str]) -> None:
        raise AssertionError("not our business")


def backlog(stored: Stored, held: Sequence[str] = (), again: Callable[[str], None] = lambda _: None) -> Backlog:
    return Backlog((".jpg",), stored, lambda uri: uri in held, again)


def drained(queue: Backlog) -> list[str]:
    return [found[0] for found in iter(queue.pop, None)]


def test_files_come_by_time_then_path_and_the_catalogue_is_asked_in_chunks() -> None:
    stored = Stored()
    queue = backlog(stored)
    for n in reversed(range(1200)):
        queue.add(f"/p/{n % 100:03d}/{n}.jpg", FileStat(1, n // 10))
    assert len(queue) == 1200
    order = drained(queue)
    assert order == [path for _, path in sorted((n // 10, f"/p/{n % 100:03d}/{n}.jpg") for n in range(1200))]
    assert stored.asked == [ASK_AT_ONCE, ASK_AT_ONCE, 200]


def test_what_is_stored_in_this_state_is_passed_over_and_remembered() -> None:
    stored = Stored()
    stored.rows = {"/a.jpg": (1, 5), "/b.jpg": (1, 5)}
    queue = backlog(stored)
    queue.add("/a.jpg", FileStat(1, 5))
    queue.add("/b.jpg", FileStat(1, 6))
    assert drained(queue) == ["/b.jpg"]
    assert queue.is_done("/a.jpg", FileStat(1, 5))
    assert not queue.is_done("/a.jpg", FileStat(2, 5))
    assert not queue.is_done("/b.jpg", FileStat(1, 6))
    queue.keep_done({fingerprint("/b.jpg", FileStat(1, 6))})
    assert not queue.is_done("/a.jpg", FileStat(1, 5))


def test_what_is_on_its_way_is_looked_at_later() -> None:
    later: list[str] = []
    stored = Stored()
    queue = backlog(stored, held=["/a.jpg"], again=later.append)
    queue.add("/a.jpg", FileStat(1, 5))
    assert drained(queue) == []
    assert later == ["/a.jpg"]
    assert stored.asked == []


def test_of_a_file_that_is_queued_twice_the_last_state_counts() -> None:
    queue = backlog(Stored())
    queue.add("/a.jpg", FileStat(1, 5))
    queue.add("/a.jpg", FileStat(2, 6))
    assert list(iter(queue.pop, None)) == [("/a.jpg", FileStat(2, 6))]


def test_pictures_are_known_by_suffix_or_by_their_first_bytes(tmp_path: Path) -> None:
    files = {"a.JPG": b"", "b.dat": b"\xff\xd8\xff\xe0", "c.txt": b"text", "d": b"GIF89a", "e": b""}
    queue = backlog(Stored())
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        queue.add(str(tmp_path / name), FileStat(len(data), 1))
    queue.add(str(tmp_path / "gone"), FileStat(1, 1))
    assert [Path(path).name for path in drained(queue)] == ["a.JPG", "b.dat", "d"]
    assert queue.is_done(str(tmp_path / "c.txt"), FileStat(4, 1)), "it is not opened again until it changes"
    assert not queue.is_done(str(tmp_path / "gone"), FileStat(1, 1)), "nobody could look into it"


def test_a_file_that_has_become_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    queue = backlog(Stored())
    queue.add(str(tmp_path / "pipe"), FileStat(9, 1))
    thread = threading.Thread(target=queue.pop, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
