"""A stream to try the agent on: scikit-learn's 1,797 handwritten digits, written as a camera would.

Digit after digit, so that kinds appear one by one. It knows nothing about the agent; it only writes files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX = 64
DARKEST = 16
SEED = 0


def write_digits(out: Path, rate: float, limit: int | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Write PNG files of 64 px into a folder; files that are there already are left alone and cost no time.

    Args:
        rate: files a second.
        limit: stop at so many files of the stream, those that were there included.

    Returns:
        How many were written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = 0
    for name, pixels_HW in list(stream(SEED))[:limit]:
        path = out / name
        if path.exists():
            continue
        temporary = out / f".{name}.tmp"
        Image.fromarray(pixels_HW).save(temporary, "PNG")
        os.replace(temporary, path)  # a watcher never sees half a picture
        written += 1
        sleep(1 / rate)
    return written


def stream(seed: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """File names and pictures (64, 64), uint8; sorted by digit, shuffled within each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    for digit in range(10):
        for number, index in enumerate(order[digits.target[order] == digit]):
            yield f"digit-{digit}-{number:03d}.png", enlarged(digits.images[index])


def enlarged(digit_HW: NDArray[np.float64]) -> NDArray[np.uint8]:
    """An 8 x 8 digit with values in [0, 16] as a smooth picture of 64 px."""
    small = Image.fromarray(np.rint(digit_HW * (255 / DARKEST)).astype(np.uint8))
    return np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
