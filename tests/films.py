"""Films that tests make: something moves on a structured background, and no picture equals another."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 10


def pictures(count: int, width_px: int = 160, height_px: int = 120) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H, W, 3) in which a square moves far enough in a second to be motion."""
    y, x = np.mgrid[0:height_px, 0:width_px]
    background = 100 + 40 * np.sin(x / 9) + 30 * np.cos(y / 7)
    rng = np.random.default_rng(0)
    for number in range(count):
        picture = np.repeat(background[..., None], 3, axis=2) + rng.normal(0, 3, (height_px, width_px, 3))
        left, top = (7 * number) % max(1, width_px - 30), (5 * number) % max(1, height_px - 30)
        picture[top : top + 30, left : left + 30] = (number * 11 % 256, 240 - number * 7 % 200, 60)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def write_film(path: Path, seconds: float, fps: int = FPS) -> Path:
    """An MPEG-4 film, which every build of the library can write."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=Fraction(fps))
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        for picture in pictures(round(seconds * fps)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
    return path
