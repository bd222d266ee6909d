"""Recognises pictures by their first bytes, whatever their name says.

It knows nothing about decoding: a file that starts like a picture may still be broken.
"""

from __future__ import annotations

import re

HEAD_BYTES = 32
"""How many first bytes `sniff` wants to see."""

_SIGNATURES = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WEBP", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    ("TIFF", re.compile(rb"II[*+]\x00|MM\x00[*+]")),
    ("AVIF", re.compile(rb".{4}ftypavi[fs]", re.DOTALL)),
    ("HEIF", re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif[12]|msf1)", re.DOTALL)),
    ("JPEG2000", re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51")),
    # Two letters alone would claim any text that starts with "BM": the reserved words and the header's size must fit.
    ("BMP", re.compile(rb"BM.{4}\x00{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
    ("PPM", re.compile(rb"P[1-6]\s+(?:#|\d)")),
    ("PSD", re.compile(rb"8BPS\x00\x01")),
    ("QOI", re.compile(rb"qoif")),
    ("DDS", re.compile(rb"DDS \x7c\x00\x00\x00")),
)


def sniff(head: bytes) -> str | None:
    """Name the picture format that the first `HEAD_BYTES` bytes announce; None if they announce none."""
    return next((name for name, signature in _SIGNATURES if signature.match(head)), None)
