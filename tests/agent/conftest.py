from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from agent.decode import Reader

FAULTY = '''
import os, signal, time
from agent.config import DecodeConfig
from agent.decode import read_file

def read(path, source, most):
    """Read a picture, unless its name asks for a fault."""
    name = path.name
    if "hang" in name:
        time.sleep(60)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "killed" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in name:
        os._exit(3)
    if "greedy" in name:
        return len(bytearray(1 << 32))
    if "raise" in name:
        raise RuntimeError("two\\nlines")
    result = read_file(path, source, most, config=DecodeConfig())
    if "late" in name:
        time.sleep(0.6)
    return result

def echo(value):
    return value

def pid():
    return os.getpid()

def nap(seconds):
    time.sleep(seconds)
'''


@pytest.fixture(scope="session")
def faulty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module `faulty`, which workers import by name like any other."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.py").write_text(FAULTY)
    return folder


@pytest.fixture
def faulty(faulty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Reader]:
    """Functions of the module `faulty` by name."""
    monkeypatch.syspath_prepend(faulty_folder)
    return lambda name: getattr(import_module("faulty"), name)
