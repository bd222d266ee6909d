"""A reader of files for which those of one source never end."""

from __future__ import annotations

import time
from pathlib import Path

from agent.config import DecodeConfig
from agent.decode import read_file
from agent.frame import Frame, Rejected

HOSTILE = "hostile"


def read_or_hang(path: Path, source: str, most_frames: int) -> list[Frame | Rejected]:
    """What a pool's worker does; nothing for ever with a file of `HOSTILE`."""
    if source == HOSTILE:
        time.sleep(600)
    return read_file(path, source, most_frames, config=DecodeConfig())
