"""Pictures of a camera as JPEG files: DATA/frames/CAMERA/2026-11-25/093012.345678-12480.jpg.

The name says when the picture came (UTC) and, where the stream has a time of its own, its milliseconds; mtime says the
former too, for whoever finds the file later. A file is there whole or not at all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.config import KeptConfig
from agent.frame import FileStat

SUFFIX = ".jpg"
TEMPORARY = ".part"


class NoRoom(Exception):
    """The disk has less room than must be left, or none; the message is one line."""


def free_bytes(folder: Path) -> int:
    """Room on the disk that holds a folder."""
    return shutil.disk_usage(folder).free


class Keeper:
    """Writes pictures into one camera's folder.

    Args:
        folder: the camera's own; made when needed.
        free: bytes left on its disk.
    """

    def __init__(self, folder: Path, config: KeptConfig, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = folder
        self._config = config
        self._free = free

    def keep(self, jpeg: bytes, captured_at: datetime, stream_s: float | None) -> tuple[Path, FileStat]:
        """Write one picture; writing the same one again changes nothing.

        Raises:
            NoRoom: it was not written.
        """
        path = self._folder / f"{captured_at:%Y-%m-%d}" / f"{_name(captured_at, stream_s)}{SUFFIX}"
        temporary = path.with_name(f".{path.name}{TEMPORARY}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self._free(path.parent) < (self._config.free_mb << 20) + len(jpeg):
                raise NoRoom(
                    f"less than camera.kept.free_mb ({self._config.free_mb} MB) is free; pictures are not kept"
                )
            mtime_ns = round(captured_at.timestamp() * 1e6) * 1000
            with temporary.open("wb") as file:
                file.write(jpeg)
                file.flush()
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
                os.fsync(file.fileno())
            facts = temporary.stat()
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise NoRoom(f"{path.parent}: {error.strerror}; nothing is kept") from error
        return path, FileStat.of(facts)


def encode(pixels_HWC: NDArray[np.uint8], quality: int) -> bytes:
    """As JPEG; equal pixels give equal bytes."""
    buffer = BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _name(captured_at: datetime, stream_s: float | None) -> str:
    moment = f"{captured_at:%H%M%S.%f}"
    return moment if stream_s is None else f"{moment}-{round(stream_s * 1000)}"
