"""Only files are opened, and nobody is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.regular import open_regular


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"picture")
    file = open_regular(path)
    assert file is not None
    with file:
        assert file.read() == b"picture"


@pytest.mark.timeout(10)
def test_a_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    before = len(os.listdir("/proc/self/fd"))
    assert open_regular(tmp_path / "pipe.jpg") is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone.jpg")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
