"""What the pictures of a camera are before anybody has decided to keep one. Only shapes; no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FeedError(Exception):
    """Nothing comes from there, or no longer; the message is one line, without the URL."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One decoded picture, not yet converted: most are never looked at.

    Attributes:
        at_s: monotonic seconds when it arrived; of a file, seconds since its beginning.
        stream_s: the stream's own time; None where it has none.
        grey_HW: gives the picture in grey, uint8, with the long side asked for.
        pixels_HWC: gives the picture, uint8 RGB.
    """

    at_s: float
    stream_s: float | None
    grey_HW: Callable[[int], NDArray[np.uint8]]
    pixels_HWC: Callable[[], NDArray[np.uint8]]


class Feed(Protocol):
    """A way to get pictures from one camera, for one process.

    Attributes:
        counts: of what went wrong on the way without ending it.
    """

    counts: dict[str, int]

    def shots(self) -> Iterator[Shot | None]:
        """Pictures as they come; None says that the camera answers and has nothing new. A finite feed ends.

        Raises:
            FeedError: nothing comes, or no longer.
        """
