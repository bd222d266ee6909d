"""The picture that is kept: made once, stored for ever, and the start of every embedding.

It knows nothing about files, formats of originals or networks. Sizes are (width, height) in pixels.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LOSSLESS_AREA_PX = 64 * 64
"""Up to this area a picture is kept as PNG: at so few pixels the artefacts of JPEG would be signal."""

JPEG_QUALITY = 95


def thumbnail_size(size: tuple[int, int], long_side_px: int) -> tuple[int, int]:
    """The size whose long side is at most `long_side_px`, with the same proportions and never larger than `size`."""
    scale = min(1.0, long_side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shrink(image: Image.Image, long_side_px: int) -> Image.Image:
    """Reduce a picture to its thumbnail's size; one that is small enough is returned as it is."""
    size = thumbnail_size(image.size, long_side_px)
    # Hamming takes half the time of Lanczos and no eye sees it; a whole-number box reduction comes before it.
    return image if size == image.size else image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)


def encode_thumbnail(image: Image.Image) -> bytes:
    """Encode an RGB picture: PNG when small, else JPEG of quality 95 without chroma subsampling."""
    buffer = BytesIO()
    if image.width * image.height <= LOSSLESS_AREA_PX:
        image.save(buffer, "PNG", compress_level=3)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def pixels_of(thumbnail: bytes, least_px: int | None = None) -> NDArray[np.uint8]:
    """Decode a stored thumbnail to writable uint8 RGB, (H, W, 3); the same bytes always give the same pixels.

    Args:
        least_px: sides that suffice; a JPEG is then decoded at the smallest of its scales (1, 1/2, 1/4, 1/8) whose
            sides are no shorter, which takes half the time and does half of the network's shrinking.
    """
    with Image.open(BytesIO(thumbnail), formats=("JPEG", "PNG")) as image:
        if least_px is not None:
            image.draft(None, (least_px, least_px))
        return np.array(image.convert("RGB"), dtype=np.uint8)
