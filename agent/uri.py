"""How a file is named in the database: an absolute path as text that any reader can hold."""

from __future__ import annotations

import os
from pathlib import Path

FRAMES = "frames"
"""Folder of the data directory for what cameras gave."""

PUSHED = "pushed"
"""Folder of the data directory for what was sent to us."""

OURS = (FRAMES, PUSHED)
"""Where the only pictures lie whose files are ours to delete."""


def file_uri(path: str | Path) -> str:
    r"""The path as text; bytes that are not UTF-8 become `\xNN`, since a lone surrogate fits no database."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
