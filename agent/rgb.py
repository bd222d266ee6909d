"""Any Pillow mode to 8-bit RGB, without losing what is to be seen.

`Image.convert("RGB")` alone is wrong in two places: it saturates wide greys (of a 16-bit ramp 99.6 % becomes 255), and
it shows whatever colour lies under transparent pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PERCENTILES = (0.5, 99.5)
_SAMPLE = 1_000_000
_WHITE_POINTS = (1.0, 255.0, 4095.0, 65535.0)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a loaded picture of any mode to RGB.

    Wide modes (`I;16*`, `I`, `F`: thermal, depth, microscopy) are stretched between their 0.5th and 99.5th
    percentile, because sensors seldom use the depth of their files. Transparency is laid on white: what is drawn on
    nothing (icons, sketches, scans) is mostly dark, and white is what viewers show.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(stretch(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def stretch(values_HW: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Map wide greys, (H, W) of any number type, to uint8; what is not finite becomes black."""
    low, high = _range(values_HW)
    with np.errstate(all="ignore"):
        scaled_HW = values_HW.astype(np.float32)
        scaled_HW -= np.float32(low)
        scaled_HW *= np.float32(255.0 / (high - low))
        np.nan_to_num(scaled_HW, copy=False, nan=0.0)
    np.clip(scaled_HW, 0.0, 255.0, out=scaled_HW)
    return np.rint(scaled_HW, out=scaled_HW).astype(np.uint8)


def _range(values_HW: NDArray[np.generic]) -> tuple[float, float]:
    """The values to be shown black and white; always `low < high`."""
    step = max(1, math.isqrt(values_HW.size // _SAMPLE))
    sample_N = values_HW[::step, ::step].astype(np.float64).ravel()
    sample_N = sample_N[np.isfinite(sample_N)]
    if not sample_N.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(sample_N, _PERCENTILES))
    if low < high:
        return low, high
    low, high = float(sample_N.min()), float(sample_N.max())  # a few stars in a black sky
    if low < high:
        return low, high
    return 0.0, next((white for white in _WHITE_POINTS if high <= white), abs(high))  # one grey: by bit depth


def _on_white(image: Image.Image) -> Image.Image:
    alpha = image.getchannel("A")
    if alpha.getextrema() == (0, 0):
        return image.convert("RGB")  # written by programs that leave the fourth byte unused (TGA, BMP)
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white
