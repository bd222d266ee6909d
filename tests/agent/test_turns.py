from __future__ import annotations

import threading

import pytest

from agent.turns import PROBATION, Turns


def take(turns: Turns[str]) -> str:
    turn = turns.take()
    assert turn is not None
    return turn[1]


def test_lanes_take_turns_and_each_keeps_its_order() -> None:
    turns: Turns[str] = Turns(1)
    for task in ("a1", "a2", "a3", "a4"):
        turns.put("a", task)
    assert take(turns) == "a1"
    turns.put("b", "b1")
    turns.put("b", "b2")
    turns.put("c", "c1")
    assert [take(turns) for _ in range(6)] == ["a2", "b1", "c1", "a3", "b2", "a4"]


def test_lanes_that_do_harm_leave_a_place_to_the_others() -> None:
    turns: Turns[str] = Turns(2)
    for lane in ("bad", "worse"):
        turns.put(lane, "1")
        turns.put(lane, "2")
    for lane in ("bad", "worse"):
        turns.take()
        turns.done(lane, harmed=True)
    assert take(turns) == "2"
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(turns.take()))
    waiting.start()
    waiting.join(0.1)
    assert got == [], "two lanes have tasks, and the other place is kept free"
    turns.put("good", "1")
    waiting.join(5)
    assert got == [("good", "1")]


def test_who_does_no_harm_for_a_while_is_trusted_again() -> None:
    turns: Turns[str] = Turns(2)
    for number in range(PROBATION + 3):
        turns.put("bad", str(number))
    turns.take()
    turns.done("bad", harmed=True)
    for _ in range(PROBATION):
        turns.take()
        assert turns._next() is None
        turns.done("bad", harmed=False)
    turns.take()
    assert turns._next() == "bad"


def test_with_one_place_there_is_none_to_leave() -> None:
    turns: Turns[str] = Turns(1)
    for number in range(2):
        turns.put("bad", str(number))
    turns.take()
    turns.done("bad", harmed=True)
    assert take(turns) == "1"


def test_what_is_closed_gives_back_what_was_not_taken_and_wakes_who_waits() -> None:
    turns: Turns[str] = Turns(1)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(turns.take()))
    waiting.start()
    turns.put("a", "a1")
    waiting.join(5)
    turns.put("a", "a2")
    turns.put("b", "b1")
    another = threading.Thread(target=lambda: [turns.take() for _ in range(3)])
    assert turns.close() == ["a2", "b1"]
    another.start()
    another.join(5)
    assert not another.is_alive()
    assert turns.close() == []
    with pytest.raises(RuntimeError, match="closed"):
        turns.put("a", "a3")
