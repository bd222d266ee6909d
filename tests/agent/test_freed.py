from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from agent.freed import keep_freed_memory

FAULTS = """
import ctypes, resource, sys
import numpy as np
from agent.freed import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()

def work():
    for part in [np.empty(30 << 20, dtype=np.uint8) for _ in range(6)]:
        part[::4096] = 1

for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc, whose setting it is")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    assert 10 * faults("kept") < faults("given back")


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise OSError(f"{name}: not here")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert not keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()
