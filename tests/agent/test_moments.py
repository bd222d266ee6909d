from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from agent.moments import captured_s
from storage.queries import StoredPicture
from storage.records import LocationRecord

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOON_NS = round(NOON.timestamp()) * 10**9


def picture(uri: str, source: str, mtime_ns: int | None) -> StoredPicture:
    place = LocationRecord(uri, source, 1, mtime_ns)
    return StoredPicture(1, "a" * 64, b"", np.zeros(2, dtype=np.float16), captured_at=NOON, place=place)


@pytest.mark.parametrize(
    ("uri", "source", "mtime_ns", "believed"),
    [
        ("/in/a.jpg", "/in", NOON_NS, False),
        ("/in/a.jpg", "/in", NOON_NS + 400, False),
        ("/in/a.jpg", "/in", NOON_NS + 90 * 10**9, True),
        ("/data/frames/door/2026-11-25/a.jpg", "door", NOON_NS, True),
        ("gate:/data/frames/door/2026-11-25/a.jpg", "gate:door", NOON_NS, True),
        ("gate:/in/a.jpg", "gate:/in", NOON_NS, False),
        ("/in/frames/in/a.jpg", "/in", NOON_NS, False),
        ("/data/pushed/door/a.jpg", "door", NOON_NS, False),
        ("/data/pushed/door/a.jpg", "door", NOON_NS + 10**9, True),
        ("https://example.org/a.jpg", "elsewhere", None, True),
    ],
)
def test_when_a_file_was_written_is_not_when_a_picture_was_taken(
    uri: str, source: str, mtime_ns: int | None, believed: bool
) -> None:
    assert captured_s(picture(uri, source, mtime_ns)) == (NOON.timestamp() if believed else None)


def test_a_picture_that_lies_nowhere_tells_no_time() -> None:
    nowhere = StoredPicture(1, "a" * 64, b"", np.zeros(2, dtype=np.float16), captured_at=NOON, place=None)
    assert captured_s(nowhere) is None
