from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.api import BaseObserver, EventEmitter

from agent.sources.probe import ANSWER_S, PREFIX, Probe
from agent.sources.watch import RESTART_S
from tests.agent.sources.test_watch import Calls


def test_a_probe_leaves_nothing_behind_and_is_answered_once(tmp_path: Path) -> None:
    now = 0.0
    probe = Probe(str(tmp_path), lambda: now)
    assert not probe.pending
    probe.drop()
    assert list(tmp_path.iterdir()) == []
    assert (probe.pending, probe.silent) == (True, False)
    assert not probe.heard(str(tmp_path / "other.jpg"))
    now = ANSWER_S + 1
    assert probe.silent
    assert Path(probe._path).name.startswith(PREFIX)
    assert probe.heard(probe._path)
    assert (probe.pending, probe.silent) == (False, False)


def test_where_no_file_can_be_made_events_are_trusted(tmp_path: Path) -> None:
    probe = Probe(str(tmp_path / "read-only"), lambda: 0.0)
    probe.drop()
    assert not probe.pending


class Deaf(BaseObserver):
    """Takes the watch and never tells."""

    def __init__(self) -> None:
        super().__init__(EventEmitter)


def test_an_observer_that_tells_nothing_is_given_up_and_tried_again(tmp_path: Path) -> None:
    calls = Calls()
    watch = calls.watch(tmp_path, Deaf)
    try:
        assert watch.revive(), "until the answer is overdue"
        calls.now = ANSWER_S + 1
        assert not watch.revive()
        assert watch.trouble.startswith("no events arrive")
        calls.now += RESTART_S[1]
        assert not watch.revive(), "not before it has answered"
        assert watch.trouble
        assert watch.is_alive()
    finally:
        watch.stop()


def test_an_observer_that_tells_is_trusted(tmp_path: Path, until: Any) -> None:
    calls = Calls()
    watch = calls.watch(tmp_path)
    try:
        assert watch.revive()
        assert until(lambda: not watch._probe.pending, 5)
        calls.now = ANSWER_S + 1
        assert watch.revive()
        assert watch.trouble == ""
    finally:
        watch.stop()
    assert not any("inotify" in thread.name.lower() for thread in threading.enumerate())


@pytest.mark.parametrize("answers", [False, True])
def test_trouble_lasts_until_the_answer(tmp_path: Path, answers: bool) -> None:
    calls = Calls()
    watch = calls.watch(tmp_path, Deaf)
    watch.trouble = "no events arrive"
    try:
        watch.revive()
        if answers:
            watch._probe.heard(watch._probe._path)
        assert watch.revive() is answers
        assert bool(watch.trouble) is not answers
    finally:
        watch.stop()
