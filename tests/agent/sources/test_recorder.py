"""One picture at a time: from what a camera gave to a frame on the disk."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.config import CameraConfig, DecodeConfig
from agent.sources.feed import Shot
from agent.sources.keeping import Keeper
from agent.sources.recorder import Recorder
from agent.thumbnail import pixels_of
from tests.films import pictures

AT = datetime(2026, 11, 25, tzinfo=UTC)
ROOM = 1 << 40


def shots(many: int, width_px: int = 320, height_px: int = 240) -> list[Shot]:
    def shot(number: int, picture: NDArray[np.uint8]) -> Shot:
        return Shot(float(number), float(number), lambda long_px: picture[::2, ::2, 0], lambda: picture)

    return [shot(number, picture) for number, picture in enumerate(pictures(many, width_px, height_px))]


def recorder(folder: Path, free: list[int], patient: bool = False) -> Recorder:
    keeper = Keeper(folder, CameraConfig().kept, free=lambda place: free[0])

    def wait() -> None:
        free[0] += ROOM // 4

    return Recorder("here", CameraConfig(), keeper, DecodeConfig(), None, wait if patient else None)


def test_a_frame_is_what_lies_on_the_disk(tmp_path: Path) -> None:
    (shot,) = shots(1)
    frame = recorder(tmp_path, [ROOM]).take(shot, AT)
    assert frame is not None
    content = Path(frame.origin.uri).read_bytes()
    assert frame.sha256 == hashlib.sha256(content).hexdigest()
    assert (frame.width_px, frame.height_px) == (320, 240)
    assert max(frame.pixels_HWC.shape) == 256
    assert np.array_equal(frame.pixels_HWC, pixels_of(frame.thumbnail))
    assert (frame.origin.source, frame.origin.captured_at) == ("here", AT)


def test_each_picture_is_counted_once(tmp_path: Path) -> None:
    one = recorder(tmp_path, [ROOM])
    first, second, third = shots(21)[::10]
    kept = [one.take(shot, AT + timedelta(seconds=i)) for i, shot in enumerate((first, third, second, third))]
    assert [frame is not None for frame in kept] == [True, True, False, False]
    assert one.counts == {"looked": 2, "kept": 2, "out_of_order": 2}


def test_without_room_a_live_picture_is_dropped_and_a_film_s_waits(tmp_path: Path) -> None:
    free = [0]
    live = recorder(tmp_path / "live", free)
    first, second = shots(11)[::10]
    assert live.take(first, AT) is None
    assert live.trouble
    assert live.counts["no_room"] == 1
    free[0] = ROOM
    assert live.take(second, AT) is not None
    assert not live.trouble

    patient = recorder(tmp_path / "film", [0], patient=True)
    assert patient.take(first, AT) is not None
    assert not patient.trouble
    assert "no_room" not in patient.counts


@pytest.mark.parametrize("size", [(320, 240), (40, 30), (1280, 32)])
def test_pictures_of_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    (shot,) = shots(1, *size)
    frame = recorder(tmp_path, [ROOM]).take(shot, AT)
    assert frame is not None
    assert (frame.width_px, frame.height_px) == size
