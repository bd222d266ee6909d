"""What a source yields: a frame, or the reason why there is none.

A frame is one picture in memory. It knows nothing about storage, learning or kinds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1
"""1677 to 2262: some file systems keep times that fit no database and no calendar."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """What `stat` said of a file when it was read; equal stats mean an unchanged file."""

    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> FileStat:
        """What counts of it; a time that is too early or too late becomes the first or last one that can be told."""
        return cls(facts.st_size, min(max(facts.st_mtime_ns, _FIRST_NS), _LAST_NS))

    @property
    def written_at(self) -> datetime:
        """UTC."""
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a picture came from.

    Attributes:
        uri: absolute path or URL; bytes of a path that are not UTF-8 are backslash-escaped.
        source: name of the watched folder or camera.
        captured_at: when the picture was taken (EXIF, else mtime), UTC.
        stat: the file's stat when it was read; None for pictures that are not files.
    """

    uri: str
    source: str
    captured_at: datetime
    stat: FileStat | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture.

    Attributes:
        sha256: hex digest of the bytes as they arrived; the picture's identity.
        pixels_HWC: uint8 RGB, decoded from `thumbnail`, so that embedding again years later
            starts from the same numbers; perhaps at one of JPEG's smaller scales (`agent.thumbnail.pixels_of`).
        thumbnail: the encoded picture that is stored (long side at most 256 px).
        width_px, height_px: size of the original, after EXIF orientation.
    """

    sha256: str
    pixels_HWC: NDArray[np.uint8]
    thumbnail: bytes
    width_px: int
    height_px: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is no picture, and why.

    Attributes:
        sha256: empty where not a byte could be read.
        reason: one line for people.
        fatal: whoever decoded it died of it, or had to be killed; perhaps by the machine's fault, so it is tried again.
    """

    sha256: str
    reason: str
    origin: Origin
    fatal: bool = False
