"""How a file is named in the database: an absolute path as text that any reader can hold."""

from __future__ import annotations

import os
from pathlib import Path

from storage.records import FRAME_MARK

FRAMES = "frames"
"""Folder of the data directory for what cameras gave."""

PUSHED = "pushed"
"""Folder of the data directory for what was sent to us."""

MACHINE_MARK = ":"

OURS = (FRAMES, PUSHED)
"""Where the only pictures lie whose files are ours to delete."""


def file_uri(path: str | Path) -> str:
    r"""The path as text; bytes that are not UTF-8 become `\xNN`, since a lone surrogate fits no database."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def on_machine(machine: str, name: str) -> str:
    """A place or a source as the database knows it: of a machine that has a name, `gate:/in/a.jpg`.

    Paths mean something else on every machine. Only the agent that learns has them to itself, and writes them plainly.
    """
    return f"{machine}{MACHINE_MARK}{name}" if machine else name


def here(machine: str, name: str) -> str:
    """What `on_machine` was given."""
    return name.removeprefix(on_machine(machine, ""))


def frame_uri(uri: str, number: int) -> str:
    """The place of one frame of a file; frame 0 is the file's own."""
    return f"{uri}{FRAME_MARK}{number}" if number else uri


def file_of(uri: str) -> str:
    """The uri of the file that a frame lies in; of a file, its own."""
    return uri.rpartition(FRAME_MARK)[0] or uri
