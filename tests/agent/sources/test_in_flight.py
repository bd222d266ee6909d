from __future__ import annotations

import math

import pytest

from agent.killable import Task
from agent.sources.in_flight import InFlight, Reading

PATIENCE_S = 5.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flight(clock: Clock) -> InFlight:
    flight = InFlight(clock)
    for path in "abcd":
        flight.add(path, Task())
    return flight


def begin(flight: InFlight, *paths: str) -> None:
    for reading in flight._waiting:
        if reading.path in paths:
            reading.task.began_s = flight._clock()


def finish(flight: InFlight, *paths: str) -> None:
    for reading in (*flight._waiting, *flight._overtaken):
        if reading.path in paths:
            reading.task.set_result([])


def popped(flight: InFlight, patience_s: float = PATIENCE_S) -> str:
    def next_one() -> Reading | None:
        return flight.pop(patience_s)

    return "".join(reading.path for reading in iter(next_one, None))


def test_they_are_handed_on_in_order_whoever_is_ready_first(flight: InFlight) -> None:
    begin(flight, *"abcd")
    finish(flight, *"bcd")
    assert popped(flight) == ""
    assert "a" in flight
    finish(flight, "a")
    assert popped(flight) == "abcd"
    assert (len(flight), "a" in flight) == (0, False)


def test_one_that_takes_long_is_overtaken_and_handed_on_when_it_is_ready(flight: InFlight, clock: Clock) -> None:
    begin(flight, *"ab")
    finish(flight, *"bd")
    clock.now_s += PATIENCE_S
    assert popped(flight) == "b", "c has not begun yet"
    assert (len(flight), "a" in flight) == (3, True)
    finish(flight, *"ac")
    assert popped(flight) == "acd"
    assert len(flight) == 0


def test_whoever_wants_them_in_order_has_them_in_order(flight: InFlight, clock: Clock) -> None:
    begin(flight, *"ab")
    finish(flight, *"bcd")
    clock.now_s += 1_000
    assert popped(flight, math.inf) == ""


def test_none_is_overtaken_for_nothing_nor_for_having_waited_for_a_worker(flight: InFlight, clock: Clock) -> None:
    begin(flight, "a")
    clock.now_s += 2 * PATIENCE_S
    assert popped(flight) == ""
    finish(flight, "a")
    assert popped(flight) == "a"
    finish(flight, *"cd")
    assert popped(flight) == "", "b has not begun yet"


def test_what_is_cancelled_is_forgotten(flight: InFlight, clock: Clock) -> None:
    begin(flight, "a")
    finish(flight, "b")
    clock.now_s += PATIENCE_S
    assert popped(flight) == "b"
    tasks = [reading.task for reading in (*flight._overtaken, *flight._waiting)]
    flight.cancel()
    assert (len(flight), popped(flight)) == (0, "")
    assert len(tasks) == 3
    assert all(task.cancelled() for task in tasks)
