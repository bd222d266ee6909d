from __future__ import annotations

import ctypes
import errno
import sys
from pathlib import Path

import pytest
from watchdog.events import FileSystemEventHandler

from agent.sources.observer import native_observer, refusal_of, told


def test_a_limit_is_named_with_its_value_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "max_user_watches").write_text("8192\n")
    few = OSError(errno.ENOSPC, "inotify watch limit reached")
    assert told(few, tmp_path) == "too few inotify watches: the sysctl fs.inotify.max_user_watches is 8192; raise it"
    assert "fs.inotify.max_user_instances; raise it" in told(OSError(errno.EMFILE, "x"), tmp_path)
    assert told(OSError(errno.EACCES, "Permission denied"), tmp_path) == "Permission denied"


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_folders_that_the_kernel_refuses_are_not_passed_over_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers import inotify_c

    for name in "abc":
        (tmp_path / name).mkdir()
    whole = inotify_c.inotify_add_watch

    def scarce(number: int, path: bytes, mask: int) -> int:
        if path.endswith(b"/b"):
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return int(whole(number, path, mask))

    monkeypatch.setattr(inotify_c, "inotify_add_watch", scarce)
    observer = native_observer()
    observer.schedule(FileSystemEventHandler(), str(tmp_path), recursive=True)
    observer.start()
    try:
        assert "fs.inotify.max_user_watches" in refusal_of(observer)
    finally:
        observer.stop()
        observer.join()
