from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from PIL import Image

from agent.exif import Exif, exif_time, read_exif


@pytest.fixture
def in_new_york() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(("offset", "hour"), [("+02:00", 10), ("-05:30", 17), ("+00:00\0", 12)])
def test_an_offset_leads_to_utc(offset: str, hour: int) -> None:
    taken = exif_time("2024:05:01 12:00:00", offset)
    assert taken is not None
    assert (taken.tzinfo, taken.hour) == (UTC, hour)


@pytest.mark.usefixtures("in_new_york")
def test_without_an_offset_the_machine_s_zone_counts() -> None:
    assert exif_time("2024:05:01 12:00:00") == datetime(2024, 5, 1, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "    :  :     :  :  ", "", None, 7, b"2024", "0001:01:01 00:00:00 "]
)
def test_what_is_no_time_is_none(taken: object) -> None:
    assert exif_time(taken, "+23:59") is None


def test_an_offset_out_of_range_is_no_time() -> None:
    assert exif_time("2024:05:01 12:00:00", "+99:00") is None


class Torn(Image.Image):
    def getexif(self) -> Image.Exif:
        raise SyntaxError("not a TIFF file")


def test_a_broken_block_says_nothing() -> None:
    assert read_exif(Torn()) == Exif()
    assert read_exif(Image.new("RGB", (1, 1))) == Exif()
