"""Hints from the operating system that something changed below a folder.

Whatever happens ends in a call with a path, or in `lost` when only a scan can tell. Measured with watchdog 7.1: files
renamed in, hard links and folders moved in give no `closed`, `mkdir -p` and a write give no `closed` either, and of
20,000 files written to a stalled process 17,091 were never reported. So all kinds of events are treated alike.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver

from agent.sources.observer import native_observer, refusal_of, told
from agent.sources.probe import ANSWER_S, Probe

log = structlog.get_logger(__name__)

SILENT = f"no events arrive: a file that was written was not told of within {ANSWER_S:g} s"
RESTART_S = (1.0, 2.0, 5.0, 15.0, 60.0)
STOP_S = 0.8
_TELLING = frozenset({"created", "modified", "moved", "closed", "attrib"})
_LEAVING = frozenset({"deleted", "moved"})


class Watch:
    """A native observer that is kept alive.

    Args:
        root: the folder.
        recursive: whether all folders in it are watched, too.
        changed: called with the path of a file that may have changed, from the observer's thread; must be quick.
        appeared: called with the path of a folder that was made or moved in, from the observer's thread.
        left: called with a path that was deleted or moved away, from the observer's thread.
        lost: called when events were lost.
        clock: monotonic seconds.
        observer: makes the observer; default: that of the operating system.

    Attributes:
        trouble: why the folder cannot be watched; empty while it is.
    """

    def __init__(
        self,
        root: str,
        *,
        changed: Callable[[str], None],
        appeared: Callable[[str], None],
        left: Callable[[str], None],
        lost: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        observer: Callable[[], BaseObserver] | None = None,
        recursive: bool = True,
    ) -> None:
        self._root = root
        self._recursive = recursive
        self._probe = Probe(root, clock)
        self._handler = _Handler(changed, appeared, left, self._probe.heard)
        self._overflow = _OverflowListener(lost)
        self._lost = lost
        self._clock = clock
        self._make = observer or native_observer
        self._observer: BaseObserver | None = None
        self._failures = 0
        self._retry_at = 0.0
        self.trouble = ""

    def start(self) -> None:
        """Start watching, and ask whether anything is told.

        Raises:
            OSError: the kernel refuses; the message names the limit and the remedy where it is one of resources.
        """
        observer: BaseObserver | None = None
        try:
            observer = self._make()
            observer.schedule(self._handler, self._root, recursive=self._recursive)
            observer.start()
        except OSError as error:
            if observer is not None:
                _stop(observer)
            raise OSError(error.errno, told(error)) from error
        self._observer = observer
        logging.getLogger(_OverflowListener.LOGGER).addHandler(self._overflow)
        self._probe.drop()

    def is_alive(self) -> bool:
        """Whether events can arrive. An emitter ends by itself when its folder goes away."""
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def revive(self) -> bool:
        """Start again if the observer is dead or deaf, with growing pauses between attempts; say whether it hears."""
        if self.is_alive():
            return self._hears()
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + RESTART_S[min(self._failures, len(RESTART_S) - 1)]
        self._failures += 1
        self.stop()
        try:
            self.start()
        except OSError as error:
            self._give_up(error.strerror or "it cannot be watched")
            return False
        self._lost()
        return self._hears()

    def _hears(self) -> bool:
        assert self._observer is not None
        fault = refusal_of(self._observer) or (SILENT if self._probe.silent else "")
        if fault:
            self.stop()
            self._give_up(fault)
            return False
        if self._probe.pending and self.trouble:
            return False  # whoever was deaf before must answer first
        self.trouble = ""
        if self._clock() > self._retry_at + RESTART_S[-1]:
            self._failures = 0
        return True

    def _give_up(self, trouble: str) -> None:
        if trouble != self.trouble:
            log.warning("the folder cannot be watched; scanning instead", folder=self._root, reason=trouble)
        self.trouble = trouble

    def renew(self) -> None:
        """Let go of a folder that is another one now under the same path; `revive` watches the new one at once."""
        self.stop()
        self._failures = 0
        self._retry_at = 0.0

    def stop(self) -> None:
        """Stop watching; may be called again."""
        logging.getLogger(_OverflowListener.LOGGER).removeHandler(self._overflow)
        if self._observer is not None:
            _stop(self._observer)
            self._observer = None


def _stop(observer: BaseObserver) -> None:
    """Stop an observer, even one that was never started: it has a reader.

    A thread of it that died may hold a lock that stopping waits for; then it is left as it is.
    """
    stopping = threading.Thread(target=observer.stop, name="stop observer", daemon=True)
    stopping.start()
    stopping.join(STOP_S)
    if stopping.is_alive():
        log.warning("an observer does not stop, and is left behind")
    elif observer.ident is not None:
        threading.Thread.join(observer, timeout=STOP_S)


class _Handler(FileSystemEventHandler):
    def __init__(
        self,
        changed: Callable[[str], None],
        appeared: Callable[[str], None],
        left: Callable[[str], None],
        ours: Callable[[str], bool],
    ) -> None:
        self._changed = changed
        self._appeared = appeared
        self._left = left
        self._ours = ours

    def on_any_event(self, event: FileSystemEvent) -> None:
        kind = event.event_type
        if self._ours(os.fsdecode(event.src_path)):
            return
        if kind in _LEAVING:
            self._left(os.fsdecode(event.src_path))
        if kind not in _TELLING:
            return
        path = os.fsdecode(event.dest_path if kind == "moved" else event.src_path)
        if not path:
            return  # moved out of the folder
        if not event.is_directory:
            self._changed(path)
        elif kind != "modified":
            self._appeared(path)


class _OverflowListener(logging.Handler):
    """Hears of lost events. watchdog 7 tells nobody but its log (and 6 nobody at all: watchdog#654)."""

    LOGGER = "watchdog.observers.inotify_c"

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._lost = lost

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._lost()
