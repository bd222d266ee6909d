"""What a picture's EXIF block says about which way is up and when it was taken.

A block that is broken says nothing; it never costs the picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from PIL import ExifTags, Image

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Exif:
    """`turn` makes the picture upright (None: it is); `captured_at` is in UTC (None: unknown)."""

    turn: Image.Transpose | None = None
    captured_at: datetime | None = None

    @property
    def swaps_sides(self) -> bool:
        return self.turn in (
            Image.Transpose.TRANSPOSE,
            Image.Transpose.ROTATE_270,
            Image.Transpose.TRANSVERSE,
            Image.Transpose.ROTATE_90,
        )


def read_exif(image: Image.Image) -> Exif:
    """Read the EXIF block of a loaded picture. Read after `load`: some decoders turn the picture themselves."""
    try:
        block = image.getexif()
        turn = _UPRIGHT.get(block.get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - Pillow raises whatever its parser trips over: SyntaxError, struct.error, ...
        return Exif()
    try:
        details = block.get_ifd(ExifTags.IFD.Exif)
        taken, offset = details.get(ExifTags.Base.DateTimeOriginal), details.get(ExifTags.Base.OffsetTimeOriginal)
    except Exception:  # noqa: BLE001 - as above; the orientation is good all the same
        return Exif(turn)
    return Exif(turn, exif_time(taken, offset))


def exif_time(taken: object, offset: object = None) -> datetime | None:
    """`2024:05:01 12:00:00`, with `+02:00` or in the machine's zone, as UTC; None where it is no time at all."""
    if not isinstance(taken, str):
        return None
    try:
        local = datetime.strptime(taken.strip("\0 "), "%Y:%m:%d %H:%M:%S")
        return local.replace(tzinfo=_zone(offset)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # never set, month 0, year 1 before the epoch of the platform
        return None


def _zone(offset: object) -> timezone | None:
    found = _OFFSET.match(offset.strip("\0 ")) if isinstance(offset, str) else None
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
