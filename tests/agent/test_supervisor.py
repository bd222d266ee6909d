from __future__ import annotations

import os
import sys

from agent.supervisor import RESTARTS, Supervisor


def end_with(status: int) -> None:
    sys.exit(status)


def die() -> None:
    os._exit(9)


def test_a_child_that_ends_well_is_left_alone() -> None:
    child = Supervisor("child", end_with, (0,))
    child.start()
    assert child.join(30)
    first = child.pid
    child.check()
    assert child.pid == first
    assert not child.alive


def test_a_child_that_dies_is_started_again_but_not_for_ever() -> None:
    child = Supervisor("child", die, (), clock=lambda: 0.0)
    child.start()
    pids = {child.pid}
    for _ in range(RESTARTS):
        assert child.join(30)
        child.check()
        pids.add(child.pid)
    assert len(pids) == RESTARTS + 1
    assert child.join(30)
    child.check()
    assert child.gave_up
    assert not child.alive


def test_old_deaths_are_forgiven() -> None:
    now = [0.0]
    child = Supervisor("child", die, (), clock=lambda: now[0])
    child.start()
    for _ in range(RESTARTS + 2):
        assert child.join(30)
        now[0] += 120.0
        child.check()
    assert not child.gave_up
    assert child.join(30)
