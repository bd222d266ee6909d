"""When a picture is looked at, what time it was taken, whether it is in order. Pure: times are arguments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

CLOCK_SET_S = 5.0
"""A wall clock that differs by more from what it should say was set, and is followed."""

STARTED_ANEW_S = 10.0
"""A stream whose time goes back by more has begun again; by less, its pictures are out of order."""

RISING = 3
"""So many pictures in a row that are out of order, but in order among themselves, are a stream after a wrong time."""

TOLERANCE_S = 1e-6


class Sampler:
    """Says `fps` times a second, and in step with the time, that it is time to look."""

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._next_s = float("-inf")

    def due(self, at_s: float) -> bool:
        """Whether to look now; asked with ever later times, or from the beginning of a stream that began again."""
        if at_s < self._next_s - self._period_s - TOLERANCE_S:
            self._next_s = at_s
        if at_s < self._next_s - TOLERANCE_S:
            return False
        on_beat_s = self._next_s + self._period_s
        self._next_s = on_beat_s if on_beat_s > at_s else at_s + self._period_s
        return True


class StreamOrder:
    """Whether pictures come in the order in which the camera took them."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._refused_s: list[float] = []

    def holds(self, stream_s: float | None) -> bool:
        """Whether this picture is later than the last one; a stream without times is believed.

        One time that is too late would have all after it refused until they catch up, so their own order counts then.
        """
        last_s = self._last_s
        if stream_s is None:
            return True
        if last_s is not None and last_s - STARTED_ANEW_S <= stream_s <= last_s and not self._rising(stream_s):
            return False
        self._last_s, self._refused_s = stream_s, []
        return True

    def _rising(self, stream_s: float) -> bool:
        if self._refused_s and stream_s <= self._refused_s[-1]:
            self._refused_s = []
        self._refused_s.append(stream_s)
        return len(self._refused_s) == RISING


class ArrivalClock:
    """Wall-clock times from monotonic ones: small corrections of the machine's clock change no order.

    Args:
        mono_s, wall: both clocks, read at once.
    """

    def __init__(self, mono_s: Callable[[], float], wall: Callable[[], datetime]) -> None:
        self._mono_s, self._wall = mono_s, wall
        self._zero_s, self._zero = mono_s(), wall()
        self._last: datetime | None = None

    def at(self, mono_s: float) -> datetime:
        """The time of a moment just now; never the same twice, and earlier than before only if the clock was set."""
        now_s, wall = self._mono_s(), self._wall()
        if abs((self._zero + timedelta(seconds=now_s - self._zero_s) - wall).total_seconds()) > CLOCK_SET_S:
            self._zero_s, self._zero, self._last = now_s, wall, None
        at = self._zero + timedelta(seconds=mono_s - self._zero_s)
        if self._last is not None and at <= self._last:
            at = self._last + timedelta(microseconds=1)
        self._last = at
        return at
