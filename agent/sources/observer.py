"""The operating system's file events, from an observer that knows when it is deaf.

watchdog 7.1 hides three things on Linux: its one reader can die while the observer's other threads wait for it for ever
and look alive, folders beyond the kernel's limit of watches are left out without a word, and of events that were lost
it tells its log alone, and too early: it makes all watches anew then, and what happens meanwhile is lost, too.
"""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

LIMITS = Path("/proc/sys/fs/inotify")
_SCARCE = {
    errno.ENOSPC: ("too few inotify watches", "max_user_watches", "raise it"),
    errno.EMFILE: ("too few inotify instances", "max_user_instances", "raise it, or the limit of open files"),
}


def native_observer() -> BaseObserver:
    """The observer of this operating system."""
    return _inotify_observer() if sys.platform == "linux" else Observer()


def refusal_of(observer: BaseObserver) -> str:
    """Why some folders are not watched, since the observer was made; empty if all are."""
    error: OSError | None = getattr(observer, "refused", None)
    return "" if error is None else told(error)


def tell_of_losses(observer: BaseObserver, lost: Callable[[], None]) -> None:
    """Have `lost` called, from the observer's thread, whenever events were lost and those to come are heard again."""
    reader = getattr(observer, "reader", None)
    if reader is not None:
        reader.lost = lost


def told(error: OSError, limits: Path = LIMITS) -> str:
    """One line for people: of a limit of the kernel its name, its present value and the remedy."""
    if error.errno not in _SCARCE:
        return error.strerror or str(error) or "it cannot be watched"
    what, name, remedy = _SCARCE[error.errno]
    try:
        value = f" is {int((limits / name).read_text())}"
    except (OSError, ValueError):  # not this operating system
        value = ""
    return f"{what}: the sysctl fs.inotify.{name}{value}; {remedy}"


def _inotify_observer() -> BaseObserver:
    from watchdog.observers.inotify import InotifyEmitter, InotifyObserver  # there is none on other systems
    from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, WatchDescriptor

    class Reader(InotifyFD):
        refused: OSError | None = None

        def __init__(self) -> None:
            super().__init__()
            self.lost: Callable[[], None] = lambda: None

        def handle_event(self, event: InotifyEvent) -> None:
            super().handle_event(event)
            if event.is_queue_overflow:
                self.lost()

        def add_callback(self, *arguments: Any) -> WatchDescriptor:
            try:
                return super().add_callback(*arguments)
            except OSError as error:
                if error.errno in _SCARCE:
                    self.refused = error
                raise

    class Inotify(InotifyObserver):
        def __init__(self) -> None:
            self._inotify_fd = self.reader = Reader()
            self.reader.start()
            BaseObserver.__init__(self, InotifyEmitter, inotify_fd=self.reader)

        @property
        def refused(self) -> OSError | None:
            return self.reader.refused

        def is_alive(self) -> bool:
            return super().is_alive() and self.reader.is_alive()

    # Folders made within folders that are just being added are added twice, which does no harm.
    warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
    return Inotify()
