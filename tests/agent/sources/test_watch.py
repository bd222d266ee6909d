from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from watchdog.observers.api import BaseObserver, EventEmitter

from agent.sources.observer import native_observer
from agent.sources.watch import RESTART_S, Watch
from tests.overflow import overflow


class Calls:
    def __init__(self) -> None:
        self.now = 0.0
        self.lost = 0

    def watch(self, root: Path, observer: Callable[[], BaseObserver] | None = None) -> Watch:
        def lost() -> None:
            self.lost += 1

        def ignore(_: str) -> None:
            pass

        return Watch(
            str(root),
            changed=ignore,
            appeared=ignore,
            left=ignore,
            lost=lost,
            clock=lambda: self.now,
            observer=observer,
        )


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "fs.inotify.max_user_watches"),
        (errno.EMFILE, "fs.inotify.max_user_instances"),
        (errno.ENOENT, "No such"),
    ],
)
def test_a_refusal_names_the_remedy_and_is_tried_again_less_and_less_often(
    tmp_path: Path, number: int, remedy: str
) -> None:
    attempts = []

    class Refused(BaseObserver):
        def __init__(self) -> None:
            super().__init__(None)  # type: ignore[arg-type]

        def schedule(self, *_: object, **__: object) -> None:  # type: ignore[override]
            attempts.append(calls.now)
            raise OSError(number, "No such file or directory")

    calls = Calls()
    watch = calls.watch(tmp_path, Refused)
    for calls.now in range(200):
        assert not watch.revive()
    assert remedy in watch.trouble
    pauses = [after - before for before, after in pairwise(attempts)]
    assert pauses == [*RESTART_S, RESTART_S[-1]][: len(pauses)]
    assert len(pauses) > 5


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_it_hears_of_lost_events_while_it_runs_and_when_the_next_ones_are_heard_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.inotify import InotifyWatchGroup

    order, observer = list[int](), native_observer()
    begin_anew = InotifyWatchGroup.on_queue_overflow

    def deaf(group: InotifyWatchGroup) -> None:
        order.append(calls.lost)
        begin_anew(group)

    monkeypatch.setattr(InotifyWatchGroup, "on_queue_overflow", deaf)
    calls = Calls()
    watch = calls.watch(tmp_path, lambda: observer)
    assert watch.revive()
    assert watch.trouble == ""
    assert calls.lost == 1, "nobody knows what happened before"
    overflow(observer)
    assert order == [1], "what happens while the library makes its watches anew is lost, too"
    assert calls.lost == 2
    assert watch.losses == {"events_lost": 1}
    watch.stop()
    watch.stop()
    overflow(observer)
    assert calls.lost == 2
    assert not watch.is_alive()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_an_observer_whose_reader_has_died_is_dead(tmp_path: Path) -> None:
    observers = []

    def observer() -> BaseObserver:
        observers.append(native_observer())
        return observers[-1]

    calls = Calls()
    watch = calls.watch(tmp_path, observer)
    assert watch.revive()
    observers[0]._inotify_fd.stop()  # type: ignore[attr-defined]
    observers[0]._inotify_fd.join(5)  # type: ignore[attr-defined]
    assert not watch.is_alive()
    calls.now = 100
    assert watch.revive()
    assert len(observers) == 2
    assert calls.lost == 2
    assert watch.losses == {"watch_restarts": 1}
    watch.renew()
    assert watch.revive()
    assert watch.losses == {"watch_restarts": 1}, "another folder is no loss"
    watch.stop()
    assert not any(thread.is_alive() for thread in observers)


def test_an_observer_that_does_not_stop_is_left_behind_and_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.watch.STOP_S", 0.05)
    held, observers = threading.Event(), []

    class Stuck(BaseObserver):
        def __init__(self) -> None:
            super().__init__(EventEmitter)
            observers.append(self)

        def is_alive(self) -> bool:
            return False

        def stop(self) -> None:
            held.wait(60)
            super().stop()

    calls = Calls()
    watch = calls.watch(tmp_path, Stuck)
    watch.revive()
    calls.now = 100
    watch.revive()
    assert len(observers) == 2
    watch.stop()
    held.set()


def test_an_observer_that_starts_too_late_for_whoever_wanted_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.watch.START_S", 0.05)
    released, stopped = threading.Event(), threading.Event()

    class Slow(BaseObserver):
        def __init__(self) -> None:
            super().__init__(EventEmitter)

        def start(self) -> None:
            released.wait(60)

        def stop(self) -> None:
            stopped.set()

    calls = Calls()
    watch = calls.watch(tmp_path, Slow)
    assert not watch.revive()
    assert not watch.revive()
    assert (watch.trouble, calls.lost) == ("", 0)
    watch.stop()
    assert not stopped.is_set()
    released.set()
    assert stopped.wait(10)
    assert not watch.is_alive()


def test_a_refused_start_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # those of other tests may end meanwhile
    watch = Calls().watch(tmp_path / "gone")
    assert not watch.revive()
    assert not set(threading.enumerate()) - before
