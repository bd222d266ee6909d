"""Pictures that tests draw: distinct ones, in a few families that look alike within and differ between."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageDraw

FAMILIES = ("disc", "bars", "cross", "rings")


def draw(family: str, seed: int, side_px: int = 96) -> Image.Image:
    """One picture of a family; every (family, seed) is a different picture."""
    rng = np.random.default_rng([FAMILIES.index(family), seed])
    noise = rng.normal(0, 6, (side_px, side_px, 3))
    base = {"disc": (200, 60, 60), "bars": (60, 170, 80), "cross": (70, 90, 210), "rings": (210, 190, 70)}[family]
    canvas = np.clip(np.full((side_px, side_px, 3), 40.0) + noise, 0, 255).astype(np.uint8)
    picture = Image.fromarray(canvas)
    pen = ImageDraw.Draw(picture)
    x, y = (int(v) for v in rng.integers(-6, 7, 2) + side_px // 2)
    r = side_px // 4 + int(rng.integers(-3, 4))
    _shape(pen, family, x, y, r, tuple(int(c + rng.integers(-12, 13)) for c in base))
    return picture


def _shape(pen: ImageDraw.ImageDraw, family: str, x: int, y: int, r: int, colour: tuple[int, ...]) -> None:
    if family == "disc":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif family == "bars":
        for step in range(-r, r, 8):
            pen.rectangle((x + step, y - r, x + step + 3, y + r), fill=colour)
    elif family == "cross":
        pen.rectangle((x - r, y - 5, x + r, y + 5), fill=colour)
        pen.rectangle((x - 5, y - r, x + 5, y + r), fill=colour)
    else:
        for radius in range(6, r + 8, 8):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=3)


def encode(picture: Image.Image, form: str = "JPEG") -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **({"quality": 90} if form == "JPEG" else {}))
    return out.getvalue()


def jpeg(family: str, seed: int, side_px: int = 96) -> bytes:
    return encode(draw(family, seed, side_px))


def tiny(number: int, side_px: int = 8) -> bytes:
    """A PNG of a few hundred bytes in some microseconds; every number is a different picture."""
    rng = np.random.default_rng(number)
    rows = np.zeros((side_px, 1 + 3 * side_px), dtype=np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = rng.integers(0, 256, (side_px, 3 * side_px))
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    pieces = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in pieces
    )
