from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.sources.presence import Presence


class Shelf:
    def __init__(self, uris: Sequence[str]) -> None:
        self.uris = list(uris)
        self.missing: list[str] = []
        self.calls = 0

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        raise AssertionError("nobody asked")

    def present_uris(self, source: str) -> Iterator[str]:
        return iter(self.uris)

    def mark_missing(self, uris: Sequence[str]) -> None:
        self.calls += 1
        self.missing += uris
        self.uris = [uri for uri in self.uris if uri not in set(uris)]


URIS = [f"/pictures/{n}.jpg" for n in range(40)]


def hashes(uris: Sequence[str]) -> set[int]:
    return {hash(uri) for uri in uris}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(URIS)


@pytest.fixture
def presence(tmp_path: Path, shelf: Shelf) -> Presence:
    return Presence(str(tmp_path), "here", shelf)


def test_a_few_that_vanish_are_missing(presence: Presence, shelf: Shelf) -> None:
    verdict = presence.judge(presence.identity(), hashes(URIS[3:]), [])
    assert (verdict.health, verdict.readable, verdict.returned) == ("online", True, False)
    assert shelf.missing == URIS[:3]


def test_more_than_half_at_once_are_not_believed(presence: Presence, shelf: Shelf) -> None:
    verdict = presence.judge(presence.identity(), hashes(URIS[25:]), [])
    assert verdict.health == "offline"
    assert "25 of 40" in verdict.detail
    assert verdict.readable, "what is there is read all the same"
    assert shelf.missing == []
    assert presence.judge(presence.identity(), hashes(URIS[20:]), []).health == "online"
    assert len(shelf.missing) == 20, "half is not more than half"


def test_few_files_may_all_vanish_from_a_folder_in_which_they_were_seen(tmp_path: Path) -> None:
    shelf = Shelf(URIS[:10])
    presence = Presence(str(tmp_path), "here", shelf)
    assert presence.judge(presence.identity(), hashes(URIS[:10]), []).health == "online"
    assert presence.judge(presence.identity(), set(), []).health == "online"
    assert shelf.missing == URIS[:10]


def test_an_empty_mount_point_at_the_start_is_not_believed_however_few_files_are_known(tmp_path: Path) -> None:
    shelf = Shelf(URIS[:3])
    presence = Presence(str(tmp_path), "here", shelf, believe_s=0)
    for _ in range(3):
        verdict = presence.judge(presence.identity(), set(), [])
        assert (verdict.health, verdict.readable) == ("offline", True)
        assert "3 of 3" in verdict.detail
    assert shelf.missing == []
    mounted = presence.judge(presence.identity(), hashes(URIS[:3]), [])
    assert (mounted.health, mounted.returned) == ("online", True)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_stays_away_long_enough_beside_files_that_are_there_is_gone(tmp_path: Path, shelf: Shelf) -> None:
    clock = Clock()
    presence = Presence(str(tmp_path), "here", shelf, believe_s=100, clock=clock)

    def look(at_s: float, uris: Sequence[str]) -> str:
        clock.now = at_s
        return presence.judge(presence.identity(), hashes(uris), []).detail

    assert "folder.believe_s" in look(0, URIS[30:])
    assert look(90, URIS[32:]), "others may follow them"
    assert look(95, URIS[25:]), "some came back, so the time starts again"
    assert look(190, URIS[25:])
    assert "nothing else is there" in look(196, [])
    assert look(197, URIS[25:])
    assert shelf.missing == []
    assert look(297, URIS[25:]) == ""
    assert shelf.missing == URIS[:25]


def test_another_folder_in_its_place_is_believed_in_the_end(tmp_path: Path) -> None:
    shelf, clock, root = Shelf(URIS), Clock(), tmp_path / "mount"
    root.mkdir()
    presence = Presence(str(root), "here", shelf, believe_s=100, clock=clock)
    assert presence.judge(presence.identity(), hashes(URIS), []).health == "online"
    root.rename(tmp_path / "before")
    root.mkdir()
    for clock.now in (0, 99):
        assert not presence.judge(presence.identity(), hashes(["/pictures/new.jpg"]), []).readable
    clock.now = 100
    verdict = presence.judge(presence.identity(), hashes(["/pictures/new.jpg"]), [])
    assert (verdict.health, verdict.readable, verdict.returned) == ("online", True, True)
    assert shelf.missing == URIS


def test_a_root_that_is_gone_proves_nothing(tmp_path: Path, shelf: Shelf) -> None:
    root = tmp_path / "mount"
    root.mkdir()
    presence = Presence(str(root), "here", shelf)
    identity = presence.identity()
    root.rmdir()
    assert presence.identity() is None
    for seen in (None, identity):  # gone before the scan, or during it
        verdict = presence.judge(seen, set(), [])
        assert (verdict.health, verdict.readable) == ("offline", False)
    assert shelf.missing == []


def test_another_folder_in_its_place_is_believed_only_with_the_files(tmp_path: Path) -> None:
    shelf = Shelf(URIS[:4])  # few: the identity alone protects them
    root = tmp_path / "mount"
    root.mkdir()
    presence = Presence(str(root), "here", shelf)
    assert presence.judge(presence.identity(), hashes(URIS[:4]), []).health == "online"
    root.rename(tmp_path / "unmounted")
    root.mkdir()
    verdict = presence.judge(presence.identity(), set(), [])
    assert (verdict.health, verdict.readable) == ("offline", False)
    assert shelf.missing == []
    back = presence.judge(presence.identity(), hashes(URIS[1:4]), [])
    assert (back.health, back.returned) == ("online", True)
    assert shelf.missing == URIS[:1]
    assert not presence.judge(presence.identity(), hashes(URIS[1:4]), []).returned


def test_nothing_is_concluded_of_what_lies_in_folders_that_cannot_be_read(
    tmp_path: Path, presence: Presence, shelf: Shelf
) -> None:
    private = [f"/pictures/private/{n}.jpg" for n in range(100)]
    shelf.uris += [*private, "/pictures/link.gif#frame=1", "/pictures/private-2/1.jpg"]
    hidden = ["/pictures/private", "/pictures/link.gif"]
    verdict = presence.judge(presence.identity(), hashes(URIS[3:]), hidden)
    assert verdict.health == "online"
    assert "/pictures/private" in presence.unreadable
    assert shelf.missing == [*URIS[:3], "/pictures/private-2/1.jpg"]
    assert presence.judge(presence.identity(), set(), [str(tmp_path)]).health == "offline"
