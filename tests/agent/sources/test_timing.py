from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.sources.timing import ArrivalClock, Sampler, StreamOrder

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fps", "camera_fps", "seconds", "looks"), [(1, 12.5, 30, 30), (5, 25, 10, 50), (3, 25, 20, 60)]
)
def test_looks_are_as_many_as_asked_for_and_in_step(fps: float, camera_fps: float, seconds: int, looks: int) -> None:
    sampler = Sampler(fps)
    times = [i / camera_fps for i in range(int(seconds * camera_fps))]
    assert sum(sampler.due(at_s) for at_s in times) == looks


def test_a_slow_camera_is_looked_at_each_time_and_a_pause_is_not_made_up_for() -> None:
    sampler = Sampler(5)
    assert all(sampler.due(at_s) for at_s in (0.0, 1.0, 2.0))
    assert sampler.due(100.0)
    assert [sampler.due(100.0 + i / 100) for i in range(1, 21)].count(True) == 1


def test_a_stream_that_begins_again_is_looked_at_again() -> None:
    sampler = Sampler(1)
    assert sampler.due(500.0)
    assert sampler.due(0.0)
    assert not sampler.due(0.5)


def test_pictures_out_of_order_are_told_from_a_stream_that_began_again() -> None:
    order = StreamOrder()
    assert [order.holds(s) for s in (20.0, 20.04, 20.04, 19.0, 20.08, None)] == [True, True, False, False, True, True]
    assert order.holds(0.0)
    assert order.holds(0.04)


def test_after_one_time_that_was_too_late_a_stream_is_followed_again_at_the_third_picture() -> None:
    order = StreamOrder()
    times = (20.0, 29.0, 20.2, 20.4, 20.6, 20.8, 21.0)
    assert [order.holds(s) for s in times] == [True, True, False, False, True, True, True]


def test_pictures_that_are_out_of_order_now_and_then_move_nothing() -> None:
    order = StreamOrder()
    assert order.holds(20.0)
    for second in range(21, 40):
        assert not order.holds(second - 5.0)
        assert not order.holds(second - 4.0)
        assert order.holds(second)
    assert [order.holds(39.0) for _ in range(9)] == [False] * 9, "the same again and again is not later"


class Clocks:
    mono_s = 100.0
    wall = NOON

    def pass_s(self, seconds: float, set_s: float = 0.0) -> None:
        self.mono_s += seconds
        self.wall += timedelta(seconds=seconds + set_s)


def test_small_corrections_of_the_clock_change_no_order() -> None:
    clocks = Clocks()
    clock = ArrivalClock(lambda: clocks.mono_s, lambda: clocks.wall)
    clocks.pass_s(10)
    first = clock.at(clocks.mono_s - 0.5)
    assert first == NOON + timedelta(seconds=9.5)
    clocks.pass_s(1, set_s=-2)
    assert clock.at(clocks.mono_s) == NOON + timedelta(seconds=11)
    assert clock.at(clocks.mono_s) == NOON + timedelta(seconds=11, microseconds=1)


def test_a_clock_that_was_set_is_followed() -> None:
    clocks = Clocks()
    clock = ArrivalClock(lambda: clocks.mono_s, lambda: clocks.wall)
    clocks.pass_s(10, set_s=-3600)
    assert clock.at(clocks.mono_s) == clocks.wall
    clocks.pass_s(1)
    assert clock.at(clocks.mono_s) == clocks.wall
