"""One agent per data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import StoreLocked
from storage.lock import DataLock, holder


def test_second_agent_is_refused_by_name(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(StoreLocked, match=f"pid {os.getpid()}"), DataLock(tmp_path):
            pass
    assert holder(tmp_path) is None
    with DataLock(tmp_path):
        assert holder(tmp_path) == os.getpid()


def test_lock_of_a_killed_agent_is_free(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys\n"
        "from storage.lock import DataLock\n"
        "DataLock(pathlib.Path(sys.argv[1])).__enter__()\n"
        "os._exit(9)\n"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root, check=False).returncode == 9
    assert holder(tmp_path) is None
    with DataLock(tmp_path):
        pass


def test_nobody_ever_ran_here(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
