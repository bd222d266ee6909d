"""One agent per data directory and per database file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.engine import open_engine, sole_agent
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


def test_a_database_file_has_one_agent_however_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    one, other, third = (open_engine(f"sqlite:///{tmp_path}/{name}") for name in ("a.db", "link/a.db", "b.db"))
    with sole_agent(one) as still_ours:
        still_ours()
        with pytest.raises(StoreLocked, match=rf"a\.db belongs.*pid {os.getpid()}.*storage\.url"), sole_agent(other):
            pass
        with sole_agent(third):
            pass
    with sole_agent(other):
        pass


def test_nobody_ever_ran_here(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
