from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

from agent.sources.backoff import Backoff
from agent.sources.guard import ATTEMPTS, Guarded
from agent.sources.protocol import Health


class Throwing:
    """A source that fails as often as it is told, and then works until it is stopped."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.name = "bad"
        self.health: Health = "online"
        self.detail = ""
        self.counts: dict[str, int] = {}
        self.observer = "polling"
        self.observer_why = "it was told to"
        self.attempts = 0
        self._failures = failures
        self._error = error or ZeroDivisionError("a bug\nof two lines")

    def run(self, stop: threading.Event) -> None:
        self.drain(stop)
        stop.wait(60)

    def drain(self, stop: threading.Event) -> None:
        self.attempts += 1
        if self.attempts <= self._failures:
            raise self._error


class Watching:
    """A guarded source, and what was said of it."""

    def __init__(self, source: Throwing, pause_s: float = 0.01) -> None:
        self.said: list[tuple[str, str, str]] = []
        self.stop = threading.Event()
        backoff = Backoff(pause_s, pause_s, random.Random(0))
        self.guarded = Guarded(source, lambda *said: self.said.append(said), backoff=backoff)


def test_a_source_that_fails_is_away_and_begun_again(until: Callable[..., bool]) -> None:
    source = Throwing(5)
    one = Watching(source)
    thread = threading.Thread(target=one.guarded.run, args=(one.stop,))
    thread.start()
    assert until(lambda: source.attempts == 6)
    assert one.said == [("bad", "offline", "ZeroDivisionError: a bug")] * 5
    assert (one.guarded.health, one.guarded.detail) == ("online", "")
    assert (one.guarded.observer, one.guarded.observer_why) == ("polling", "it was told to")
    one.stop.set()
    thread.join(2)
    assert not thread.is_alive()


def test_while_it_rests_it_is_away_and_it_stops_at_once(until: Callable[..., bool]) -> None:
    one = Watching(Throwing(5), pause_s=60)
    thread = threading.Thread(target=one.guarded.run, args=(one.stop,))
    thread.start()
    assert until(lambda: one.guarded.health == "offline")
    assert one.guarded.detail == "ZeroDivisionError: a bug"
    one.stop.set()
    thread.join(2)
    assert not thread.is_alive()


def test_draining_is_tried_a_few_times_and_then_given_up() -> None:
    some = Watching(Throwing(ATTEMPTS - 1))
    some.guarded.drain(some.stop)
    assert some.guarded.health == "online"
    many = Watching(Throwing(ATTEMPTS))
    with pytest.raises(ZeroDivisionError):
        many.guarded.drain(many.stop)
    assert many.guarded.health == "offline"


def test_work_that_is_cancelled_is_no_failure() -> None:
    one = Watching(Throwing(9, CancelledError()))
    one.guarded.drain(one.stop)
    one.guarded.run(one.stop)
    assert one.said == []
