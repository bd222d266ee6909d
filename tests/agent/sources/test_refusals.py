from __future__ import annotations

from pathlib import Path

import pytest

from agent.sources.refusals import MOST_S, Refusals


class World:
    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.path = folder / "a.jpg"
        self.path.write_bytes(b"secret")
        self.refusals = Refusals(lambda: self.now)

    def refuse(self) -> float:
        """How long the file is left alone after one more refusal."""
        self.refusals.note(str(self.path), refused=True)
        began = self.now
        while self.refusals.rests(str(self.path)):
            self.now += 10
        return self.now - began


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_refused_again_and_again_is_tried_less_and_less_often(world: World) -> None:
    assert not world.refusals.rests(str(world.path))
    assert [world.refuse() for _ in range(7)] == [60, 240, 960, 3840, 15360, MOST_S, MOST_S]


def test_whatever_changes_a_file_has_it_tried_at_once(world: World) -> None:
    path = str(world.path)
    for change in (lambda: world.path.chmod(0o600), lambda: world.path.write_bytes(b"other"), world.path.unlink):
        world.refusals.note(path, refused=True)
        world.refusals.note(path, refused=True)
        assert world.refusals.rests(path)
        change()
        assert not world.refusals.rests(path)
    world.path.write_bytes(b"again")
    assert world.refuse() == 60, "attempts are counted anew"


def test_what_was_read_or_is_gone_is_forgotten(world: World) -> None:
    world.refuse()
    world.refusals.note(str(world.path), refused=False)
    assert world.refuse() == 60
    world.path.unlink()
    world.refusals.forget_gone()
    assert world.refusals._refusals == {}
