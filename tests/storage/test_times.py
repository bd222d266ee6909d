"""Times as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from storage.times import parse_time

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("now", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1.5h", timedelta(minutes=90)),
        ("3d", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("2h ago", timedelta(hours=2)),
        (" 2H ", timedelta(hours=2)),
    ],
)
def test_so_long_ago_does_not_depend_on_the_zone(zone: str, text: str, ago: timedelta) -> None:
    assert parse_time(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "day"),
    [("today", 22), ("yesterday", 21), ("sunday", 22), ("monday", 16), ("Saturday", 21), ("2026-11-03", 3)],
)
def test_days_start_at_local_midnight(zone: str, text: str, day: int) -> None:
    found = parse_time(text, NOW)
    local = found.astimezone()
    assert found.tzinfo is UTC
    assert (local.day, local.hour, local.minute) == (day, 0, 0)


@pytest.mark.parametrize("text", ["2026-11-22T18:30Z", "2026-11-22T19:30+01:00", "2026-11-22 18:30:00+00:00"])
def test_an_offset_is_kept(zone: str, text: str) -> None:
    assert parse_time(text, NOW) == datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


def test_summer_time_is_that_of_the_day_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert parse_time("2026-07-01T12:00", NOW) == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
        assert parse_time("2026-12-01T12:00", NOW) == datetime(2026, 12, 1, 11, 0, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "2x", "-2h", "2026-13-01", "99999999w", "last monday"])
def test_what_is_no_time_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="2026-11-22T18:30"):
        parse_time(text, NOW)
