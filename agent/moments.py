"""When a stored picture was taken, as far as anybody said so.

The store holds the best time that there was, which for a file without EXIF is when it was written: to sort by, that is
good enough. It is no sign that two pictures show one moment, because copying a folder gives thousands the same second.
"""

from __future__ import annotations

from agent.uri import FRAMES, MACHINE_MARK
from storage.rows import StoredPicture

SAME_S = 0.001
"""Times of files are stored in microseconds, and come as floating-point numbers on some systems."""


def captured_s(picture: StoredPicture) -> float | None:
    """Seconds since 1970 by EXIF, the sender, or the camera that we kept it of; None where it is a mere file's time."""
    place = picture.place
    if place is None:
        return None
    taken_s = picture.captured_at.timestamp()
    camera = place.source.rpartition(MACHINE_MARK)[2]
    if place.mtime_ns is None or f"/{FRAMES}/{camera}/" in place.uri:
        return taken_s
    return taken_s if abs(taken_s - place.mtime_ns / 1e9) > SAME_S else None
