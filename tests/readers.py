"""What a worker may do with a file besides reading it well; importable by name in another process, and quickly."""

from __future__ import annotations

import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

from agent.config import DecodeConfig
from agent.decode import read_file
from agent.frame import Frame, Origin, Rejected

HOSTILE = "hostile"


def read_or_hang(path: Path, source: str, most_frames: int) -> list[Frame | Rejected]:
    """Nothing for ever with a file of `HOSTILE`."""
    if source == HOSTILE:
        time.sleep(600)
    return read_file(path, source, most_frames, config=DecodeConfig())


def die_of_it(path: Path, source: str, most_frames: int) -> list[Frame | Rejected]:
    """As a decoder with a fault would."""
    os.abort()


def read_if_allowed(path: Path, source: str, most_frames: int) -> list[Frame | Rejected]:
    """As somebody whom the owner's mode concerns: tests are run by root, whom nothing is forbidden."""
    if not path.stat().st_mode & stat.S_IRUSR:
        return [Rejected("", "cannot be read: Permission denied", Origin(str(path), source, datetime.now(UTC)))]
    return read_file(path, source, most_frames, config=DecodeConfig())
