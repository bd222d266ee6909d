"""Which of the pictures that were looked at are worth keeping: gates in a row, each with one reason to say no.

They see a small grey picture and a time, and nothing else; no clock, no disk, no colours.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from agent.config import GatesConfig
from agent.masks import Polygon

LOOK_PX = 160
"""Long side of what gates see."""

CELL_PX = 4
BACKGROUND_SHARE = 0.1
HASH_SIDE = 16
REMEMBERED = 16
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """A picture as gates see it: grey, uint8, long side `LOOK_PX`; which pixels are not masked; when it came."""

    grey_HW: NDArray[np.uint8]
    seen_HW: NDArray[np.bool_]
    at_s: float


def seen(polygons: Iterable[Polygon], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels count, (H, W): those outside of all polygons."""
    height, width = shape
    canvas = Image.new("1", (width, height), 1)
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        pen.polygon([(x * width, y * height) for x, y in polygon], fill=0)
    return np.array(canvas, dtype=np.bool_)


class Gate(Protocol):
    """One reason not to keep a picture."""

    reason: str

    def passes(self, look: Look) -> bool:
        """Whether it may be kept; asked of every picture that came so far."""

    def kept(self, look: Look) -> None:
        """It was kept."""


class Frozen:
    """The picture equals the one before to the last grain: no sensor does that, so the camera hangs."""

    reason = "frozen"

    def __init__(self) -> None:
        self._before_HW: NDArray[np.uint8] | None = None

    def passes(self, look: Look) -> bool:
        before_HW, self._before_HW = self._before_HW, look.grey_HW
        return before_HW is None or not np.array_equal(before_HW, look.grey_HW)

    def kept(self, look: Look) -> None:
        pass


class Blank:
    """All of one grey: a covered lens, a night without light, a decoder without a key frame."""

    reason = "blank"

    def __init__(self, spread: float) -> None:
        self._spread = spread

    def passes(self, look: Look) -> bool:
        grey_N = look.grey_HW[look.seen_HW]
        return grey_N.size > 0 and float(grey_N.std()) >= self._spread

    def kept(self, look: Look) -> None:
        pass


class Motion:
    """Nothing has changed against the background, a moving average of what was seen.

    What changes everywhere by as much is light. Changes count by cells of `CELL_PX` pixels, half of which must have
    changed, so that the noise of single pixels never adds up to an area.

    Args:
        area: share of the pixels that count.
        level: change of a grey value that is one.
    """

    reason = "still"

    def __init__(self, area: float, level: float) -> None:
        self._area = area
        self._level = level
        self._background_HW: NDArray[np.float32] | None = None

    def passes(self, look: Look) -> bool:
        now_HW = look.grey_HW.astype(np.float32)
        background_HW = self._background_HW
        if background_HW is None or background_HW.shape != now_HW.shape:
            self._background_HW = now_HW
            return True
        change_HW = now_HW - background_HW
        self._background_HW = background_HW + BACKGROUND_SHARE * change_HW
        if not look.seen_HW.any():
            return False
        light = float(np.median(change_HW[look.seen_HW]))
        moved_HW = (np.abs(change_HW - light) > self._level) & look.seen_HW
        return _cells(moved_HW) * CELL_PX**2 >= self._area * int(look.seen_HW.sum())

    def kept(self, look: Look) -> None:
        pass


def _cells(moved_HW: NDArray[np.bool_]) -> int:
    """How many cells have changed by half or more; the rest at the edges counts as unchanged."""
    height, width = (side // CELL_PX for side in moved_HW.shape)
    cells = moved_HW[: height * CELL_PX, : width * CELL_PX].reshape(height, CELL_PX, width, CELL_PX)
    return int((cells.sum(axis=(1, 3)) >= CELL_PX**2 // 2).sum())


class NearDuplicate:
    """Much like one of the last that were kept, by dHash (http://www.hackerfactor.com/blog/?/archives/529).

    Args:
        bits: of 256; at least so many must differ.
    """

    reason = "repeat"

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._kept: deque[NDArray[np.bool_]] = deque(maxlen=REMEMBERED)

    def passes(self, look: Look) -> bool:
        hash_N = dhash(look)
        return all(int((hash_N != other_N).sum()) >= self._bits for other_N in self._kept)

    def kept(self, look: Look) -> None:
        self._kept.append(dhash(look))


def dhash(look: Look) -> NDArray[np.bool_]:
    """Whether it grows brighter from left to right at 16 x 16 places, flat."""
    grey_HW = np.where(look.seen_HW, look.grey_HW, np.uint8(0))
    small = Image.fromarray(grey_HW).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    rows = np.asarray(small, dtype=np.int16)
    rises: NDArray[np.bool_] = (rows[:, 1:] > rows[:, :-1]).ravel()
    return rises


class RateCap:
    """So many were kept in the last minute already."""

    reason = "too_many"

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._at_s: deque[float] = deque()

    def passes(self, look: Look) -> bool:
        while self._at_s and not 0 <= look.at_s - self._at_s[0] < MINUTE_S:
            self._at_s.popleft()
        return len(self._at_s) < self._per_minute

    def kept(self, look: Look) -> None:
        self._at_s.append(look.at_s)


class Gates:
    """All gates of one camera in order, with a count of each reason.

    Args:
        polygons: areas to ignore.

    Attributes:
        counts: `looked`, `kept`, each gate's reason, and `keepalive`: kept only because nothing was for so long. A
            keep-alive picture passes every gate but the first two: a frozen or blank one proves nothing.
    """

    def __init__(self, config: GatesConfig, polygons: Sequence[Polygon] = ()) -> None:
        self.counts: Counter[str] = Counter()
        self._polygons = polygons
        self._keepalive_s = config.keepalive_s
        self._quiet_since_s: float | None = None
        self._seen_HW: NDArray[np.bool_] = np.zeros((0, 0), dtype=np.bool_)
        self._strict: list[Gate] = []
        if config.frozen:
            self._strict.append(Frozen())
        if config.blank:
            self._strict.append(Blank(config.blank))
        self._mild: list[Gate] = []
        if config.motion_area:
            self._mild.append(Motion(config.motion_area, config.motion_level))
        if config.near_bits:
            self._mild.append(NearDuplicate(config.near_bits))
        if config.per_minute:
            self._mild.append(RateCap(config.per_minute))

    def admit(self, grey_HW: NDArray[np.uint8], at_s: float) -> Look | None:
        """A picture that is to be kept, for `kept`; None for others. Each is asked about once, in the order of time."""
        look = Look(grey_HW, self._seen(grey_HW.shape), at_s)
        self.counts["looked"] += 1
        if self._quiet_since_s is None:
            self._quiet_since_s = at_s  # the first one may be admitted and find no room
        reason = _refusal(self._strict, look)
        if reason is None:
            reason = _refusal(self._mild, look)
            if reason is not None and self._is_overdue(at_s):
                self.counts["keepalive"] += 1
                reason = None
        if reason is not None:
            self.counts[reason] += 1
            return None
        return look

    def kept(self, look: Look) -> None:
        """A picture that was admitted is on the disk."""
        self.counts["kept"] += 1
        self._quiet_since_s = look.at_s
        for gate in (*self._strict, *self._mild):
            gate.kept(look)

    def _is_overdue(self, at_s: float) -> bool:
        if not self._keepalive_s or self._quiet_since_s is None:
            return False
        return not 0 <= at_s - self._quiet_since_s < self._keepalive_s

    def _seen(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        if self._seen_HW.shape != shape:
            self._seen_HW = seen(self._polygons, (shape[0], shape[1]))
        return self._seen_HW


def _refusal(gates: Sequence[Gate], look: Look) -> str | None:
    """The first gate's reason that refuses; gates behind it do not see the picture."""
    return next((gate.reason for gate in gates if not gate.passes(look)), None)
