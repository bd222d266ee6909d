"""Hints from the operating system that something changed below a folder.

Whatever happens ends in a call with a path, or in `lost` when only a scan can tell. Measured with watchdog 7.1: files
renamed in, hard links and folders moved in give no `closed`, `mkdir -p` and a write give no `closed` either, and of
20,000 files written to a stalled process 17,091 were never reported. So all kinds of events are treated alike.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import structlog
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver

from agent.sources.observer import native_observer, refusal_of, tell_of_losses, told
from agent.sources.probe import ANSWER_S, Probe

log = structlog.get_logger(__name__)

SILENT = f"no events arrive: a file that was written was not told of within {ANSWER_S:g} s"
RESTART_S = (1.0, 2.0, 5.0, 15.0, 60.0)
STOP_S = 0.8
START_S = 1.0
"""So long the start of an observer is waited for; of very many folders it takes minutes, and scans go on meanwhile."""
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
        losses: how often events were lost: `events_lost`, because the kernel's queue was full, and `watch_restarts`,
            because an observer had died; empty while none were.
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
        self._lost = lost
        self._clock = clock
        self._make = observer or native_observer
        self._observer: BaseObserver | None = None
        self._starting: _Starting | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._heard_before = False
        self.trouble = ""
        self.losses: dict[str, int] = {}

    def is_alive(self) -> bool:
        """Whether events can arrive. An emitter ends by itself when its folder goes away."""
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def revive(self) -> bool:
        """Start again if the observer is dead or deaf, with growing pauses between attempts; say whether it hears."""
        if self.is_alive():
            return self._hears()
        if self._starting is None:
            if self._clock() < self._retry_at:
                return False
            self._retry_at = self._clock() + RESTART_S[min(self._failures, len(RESTART_S) - 1)]
            self._failures += 1
            self.stop()
            self._starting = _Starting(self._make, self._handler, self._root, self._recursive)
            self._starting.done.wait(START_S)
        return self._has_started(self._starting) and self._hears()

    def _has_started(self, starting: _Starting) -> bool:
        if not starting.done.is_set():
            return False
        self._starting = None
        if starting.observer is None:
            self._give_up(starting.fault)
            return False
        self._observer = starting.observer
        tell_of_losses(starting.observer, self._overflowed)
        self._probe.drop()
        if self._heard_before:
            log.warning("the observer had died and is started again; a scan makes up for it", folder=self._root)
            self._count("watch_restarts")
        self._heard_before = True
        self._lost()  # nobody knows what has happened before
        return True

    def _overflowed(self) -> None:
        log.warning("file events were lost; a scan makes up for them", folder=self._root)
        self._count("events_lost")
        self._lost()

    def _count(self, loss: str) -> None:
        self.losses = {**self.losses, loss: self.losses.get(loss, 0) + 1}

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
        self._heard_before = False

    def renew(self) -> None:
        """Let go of a folder that is another one now under the same path; `revive` watches the new one at once."""
        self.stop()
        self._heard_before = False
        self._failures = 0
        self._retry_at = 0.0

    def stop(self) -> None:
        """Stop watching; may be called again."""
        if self._starting is not None:
            self._starting.abandon()
            self._starting = None
        if self._observer is not None:
            tell_of_losses(self._observer, lambda: None)
            _stop(self._observer)
            self._observer = None


class _Starting:
    """One attempt to start an observer, in a thread of its own: adding the watches takes as long as there are folders.

    Attributes:
        done: it has started, or failed.
        observer: once it has started.
        fault: why it has not; the name of the limit and the remedy where it is one of resources.
    """

    def __init__(
        self, make: Callable[[], BaseObserver], handler: FileSystemEventHandler, root: str, recursive: bool
    ) -> None:
        self.done = threading.Event()
        self.observer: BaseObserver | None = None
        self.fault = ""
        self._make = make
        self._handler = handler
        self._root = root
        self._recursive = recursive
        self._abandoned = False
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="start observer", daemon=True).start()

    def abandon(self) -> None:
        """Nobody wants it any more; it is stopped when it has started."""
        with self._lock:
            self._abandoned = True
            unwanted = self.observer
        if unwanted is not None:
            _stop(unwanted)

    def _run(self) -> None:
        observer: BaseObserver | None = None
        try:
            observer = self._make()
            observer.schedule(self._handler, self._root, recursive=self._recursive)
            observer.start()
        except OSError as error:
            if observer is not None:
                _stop(observer)
            self.fault = told(error)
        except Exception as error:  # the edge of this thread
            log.exception("an observer cannot be started")
            self.fault = f"it cannot be watched: {type(error).__name__}"
        else:
            with self._lock:
                self.observer = observer
                unwanted = self._abandoned
            if unwanted:
                _stop(observer)
        self.done.set()


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
