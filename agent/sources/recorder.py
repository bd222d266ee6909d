"""From what a camera gave to a frame on the disk: order, gates, JPEG, thumbnail. One camera's, in its own process.

It knows nothing about where pictures come from or who wants them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agent.config import CameraConfig, DecodeConfig
from agent.decode import decode_image
from agent.frame import FileStat, Frame, Origin
from agent.masks import polygons_of
from agent.sources.feed import Shot
from agent.sources.gates import LOOK_PX, Gates
from agent.sources.keeping import Keeper, NoRoom, encode
from agent.sources.timing import StreamOrder
from agent.uri import file_uri


class Recorder:
    """Decides about one picture at a time.

    Args:
        name: of the camera.
        keeper: writes what is kept.
        decode: how thumbnails are made, for cameras as for files.
        least_px: see `agent.decode.DecodePool`.
        wait: called again and again while there is no room for a picture that must not be lost; without it, pictures
            for which there is no room are dropped and counted.

    Attributes:
        trouble: why nothing can be kept now; empty when all is well.
    """

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        keeper: Keeper,
        decode: DecodeConfig,
        least_px: int | None,
        wait: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._quality = config.kept.quality
        self._keeper = keeper
        self._decode = decode
        self._least_px = least_px
        self._wait = wait
        self._order = StreamOrder()
        self._gates = Gates(config.gates, polygons_of(name, config.gates.masks))
        self._refused: Counter[str] = Counter()
        self.trouble = ""

    @property
    def counts(self) -> dict[str, int]:
        """What became of the pictures that were looked at, by reason."""
        return dict(self._gates.counts + self._refused)

    def take(self, shot: Shot, captured_at: datetime) -> Frame | None:
        """The picture as a frame whose file is on the disk; None if it is not kept."""
        if not self._order.holds(shot.stream_s):
            self._refused["out_of_order"] += 1
            return None
        look = self._gates.admit(shot.grey_HW(LOOK_PX), shot.at_s)
        if look is None:
            return None
        jpeg = encode(shot.pixels_HWC(), self._quality)
        place = self._kept(jpeg, captured_at, shot.stream_s)
        if place is None:
            self._refused["no_room"] += 1
            return None
        self._gates.kept(look)
        path, stat = place
        decoded = decode_image(jpeg, self._decode, self._least_px)
        return Frame(
            sha256=hashlib.sha256(jpeg).hexdigest(),
            pixels_HWC=decoded.pixels_HWC,
            thumbnail=decoded.thumbnail,
            width_px=decoded.width_px,
            height_px=decoded.height_px,
            origin=Origin(file_uri(path), self._name, captured_at, stat),
        )

    def _kept(self, jpeg: bytes, captured_at: datetime, stream_s: float | None) -> tuple[Path, FileStat] | None:
        while True:
            try:
                place = self._keeper.keep(jpeg, captured_at, stream_s)
            except NoRoom as error:
                self.trouble = str(error)
                if self._wait is None:
                    return None
                self._wait()
            else:
                self.trouble = ""
                return place
