"""Times as people write them, for `--since`, `--until` and `--as-of`. Pure; the clock is an argument.

2026-11-22              start of that day, in the zone of this machine
2026-11-22T18:30        that moment; with `Z` or an offset, in that zone
90s 30m 2h 3d 2w        so long ago
now today yesterday     this moment; start of the day
monday ... sunday       start of the last such day, today included
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])(?:\s+ago)?")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def parse_time(text: str, now: datetime) -> datetime:
    """The moment that `text` means, in UTC.

    Args:
        now: aware.

    Raises:
        ValueError: not understood; the message says what is.
    """
    word = text.strip().lower()
    if word == "now":
        return now.astimezone(UTC)
    if word in ("today", "yesterday", *DAYS):
        return _midnight(now, _days_back(word, now))
    ago = AGO.fullmatch(word)
    try:
        if ago:
            return now.astimezone(UTC) - timedelta(**{UNITS[ago[2]]: float(ago[1])})
        return _utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time; write 2026-11-22, 2026-11-22T18:30, 2h, 3d, yesterday or monday"
        ) from None


def _days_back(word: str, now: datetime) -> int:
    if word in DAYS:
        return (now.astimezone().weekday() - DAYS.index(word)) % 7
    return int(word == "yesterday")


def _midnight(now: datetime, days_back: int) -> datetime:
    day = now.astimezone().date() - timedelta(days=days_back)
    return _utc(datetime(day.year, day.month, day.day))


def _utc(moment: datetime) -> datetime:
    """A moment without a zone is in the zone of this machine, with the offset that held on that day."""
    return moment.astimezone(UTC)
