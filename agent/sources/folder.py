"""A watched folder: finds its pictures, waits until they stand still, has them decoded and puts them into the inbox.

File events are hints, the scan is the truth: a file is found at the latest by the next scan, and read once for each
state it settles in. What is stored already is asked of the catalogue, so a restart is the same as going on. It knows
nothing about embedding or kinds, and never changes a file; one of its own it makes and removes at once, to see whether
that is told (`agent.sources.probe`).
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path

import structlog

from agent.config import FolderConfig
from agent.decode import DecodePool
from agent.frame import FileStat, Rejected
from agent.inbox import Inbox
from agent.patience import Patience
from agent.sources.backlog import Backlog, fingerprint
from agent.sources.in_flight import InFlight, Reading
from agent.sources.listing import Listing, PathRules
from agent.sources.mounts import chosen_observer, filesystem_of
from agent.sources.presence import Presence
from agent.sources.protocol import Catalogue, Health, SourceError
from agent.sources.refusals import Refusals
from agent.sources.stability import StabilityTracker, file_stat, linked_file_stat
from agent.sources.watch import Watch
from agent.uri import file_uri

log = structlog.get_logger(__name__)

TICK_S = 0.2
"""The longest that the thread sleeps without looking at its stop flag."""

IN_FLIGHT_PER_WORKER = 4
PATIENCE_S = 5.0
"""A file whose decoding takes so long is overtaken by those after it, unless what is there is drained in order."""

RETRY_S = (1.0, 5.0, 15.0, 60.0)
LEFT_RESCAN_S = 1.0
SCAN_SHARE = 20
"""After something left, the next scan waits at least so many times as long as the last one took."""

OLD_NS = 86_400 * 10**9
"""By any clock nobody writes to a file any more that is so old."""

POLL_SHARE = 10
"""Where only scanning helps, it takes a tenth of the time at most."""

JITTER = 0.1
"""Share by which the time between scans differs from what is set: folders on one server take turns."""

PAGED = (".gif", ".tif", ".tiff", ".apng", ".mpo")
"""Suffixes of formats of several frames whose first ones are a whole picture while the rest is still to come."""


class FolderSource:
    """One watched folder. `run` and `drain` belong to one thread; the attributes may be read by any.

    Args:
        root: the folder.
        name: of the source.
        exclude: folders in it that are left out, such as the data directory.
        note: told of every change of health.
        clock: monotonic seconds.
        wall_ns: nanoseconds since the epoch, to be compared with mtimes.
        rng: keeps several folders from being scanned in step.

    Attributes:
        health, detail, counts, observer, observer_why: see `agent.sources.protocol.Source`.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        config: FolderConfig,
        catalogue: Catalogue,
        pool: DecodePool,
        inbox: Inbox,
        exclude: Sequence[Path] = (),
        *,
        note: Callable[[str, Health, str], None] = lambda source, health, detail: None,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.health: Health = "online"
        self.detail = ""
        self.counts: dict[str, int] = {}
        self.observer, self.observer_why = "", ""
        self._note = note
        self._root = os.path.abspath(root)
        self._config = config
        self._most_frames = config.frames_most if config.frames == "all" else 1
        self._pool = pool
        self._inbox = inbox
        self._clock = clock
        self._wall_ns = wall_ns
        self._rng = rng or random.Random()
        self._rules = PathRules(self._root, config.ignore, exclude, recursive=config.recursive)
        self._stat = linked_file_stat if config.follow_links else file_stat
        self._presence = Presence(self._root, name, catalogue, believe_s=config.believe_s, clock=clock)
        self._tracker = StabilityTracker(self._settle_s, self._stat, clock)
        self._backlog = Backlog(config.suffixes, catalogue, inbox.holds, self._tracker.touch)
        self._refusals = Refusals(clock)
        self._in_flight = InFlight()
        self._folders: deque[str] = deque()
        self._wake, self._lost, self._left = threading.Event(), threading.Event(), threading.Event()
        self._chosen = ("", "")
        self._scanned_at, self._scan_s, self._scan_due, self._jitter = 0.0, 0.0, 0.0, 1.0

    # ---------------------------------------------------------------- the two ways to go

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop`. Trouble of any kind is reported, waited out and tried again."""
        watch = self._choose_watch()
        self._scan_due, failures = self._clock(), 0
        try:
            while not stop.is_set():
                try:
                    self._turn(watch, stop)
                    failures = 0
                except CancelledError:  # the pool was closed: we are being stopped
                    return
                except Exception as error:  # the edge of this worker: a full disk or a locked database must pass
                    log.exception("the source failed; trying again", source=self.name)
                    self._report("degraded", f"{type(error).__name__}: {error}".splitlines()[0])
                    self._start_over()
                    stop.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
        finally:
            if watch is not None:
                watch.stop()

    def drain(self, stop: threading.Event) -> None:
        """Read all that is there, in order of (mtime, path), wait for what still grows, and for the inbox.

        Raises:
            SourceError: the folder does not exist.
        """
        if not os.path.isdir(self._root):
            raise SourceError(f"{self._root} is not a folder; create it, or watch another one")
        patience = Patience(stop.wait)
        while not (stop.is_set() or patience.attempt(partial(self._read_through, stop))):
            self._start_over()
        self._inbox.join(stop)

    def _read_through(self, stop: threading.Event) -> None:
        self._scan(stop)
        while not stop.is_set() and (self._in_flight or len(self._backlog) or len(self._tracker)):
            self._advance(stop, math.inf)
            self._rest()

    # ---------------------------------------------------------------- one turn

    def _turn(self, watch: Watch | None, stop: threading.Event) -> None:
        watching = watch is not None and self.health != "offline" and watch.revive()
        if watch is not None and watch.losses != self.counts:
            self.counts = watch.losses
            self._report("degraded", "file events were lost; a scan makes up for them")
        interval_s = self._config.rescan_s if watching else max(self._config.poll_s, POLL_SHARE * self._scan_s)
        if self._scan_is_due(self._jitter * interval_s):
            returned = self._scan(stop)
            if watch is not None and returned:
                watch.renew()
        if self.health != "offline":
            self._report_handicaps(watch)
        while self._folders:
            for path, _ in Listing(self._rules).files(self._folders.popleft(), stop):
                self._tracker.touch(path)
        self._advance(stop, PATIENCE_S)
        self._rest()

    def _advance(self, stop: threading.Event, patience_s: float) -> None:
        """Move everything one step on: settled, submitted, delivered."""
        for path, stat in self._tracker.settled():
            self._backlog.add(path, stat)
        self._submit()
        while not stop.is_set() and (reading := self._in_flight.pop(patience_s)) is not None:
            self._deliver(reading, stop)
            self._submit()

    def _submit(self) -> None:
        """Keep the workers busy, and no more than that: what is queued is on the disk anyway."""
        while len(self._in_flight) < IN_FLIGHT_PER_WORKER * self._pool.workers:
            found = self._backlog.pop()
            if found is None:
                return
            path, stat = found
            if self._refusals.rests(path):
                continue
            if path in self._in_flight or self._stat(path) != stat:
                self._tracker.touch(path)  # it is being read, or changed while it waited
                continue
            task = self._pool.submit(Path(path), self.name, self._most_frames)
            task.add_done_callback(lambda _: self._wake.set())
            self._in_flight.add(path, task)

    def _deliver(self, reading: Reading, stop: threading.Event) -> None:
        """Put what was read into the inbox, unless the file has changed or gone meanwhile.

        The first frame has the file's own uri, and comes last: a file is known when all its frames are stored.
        """
        first, *others = reading.task.result()
        now = self._stat(reading.path)
        if now is None and isinstance(first, Rejected):
            return
        if now is not None and first.origin.stat is not None and now != first.origin.stat:
            self._tracker.touch(reading.path)
            return
        self._refusals.note(reading.path, refused=isinstance(first, Rejected) and first.origin.stat is None)
        for item in (*others, first):
            self._inbox.put(item, stop)

    def _rest(self) -> None:
        """Sleep until something is to be done, or a tick."""
        next_s = self._tracker.next_in_s()
        self._wake.wait(TICK_S if next_s is None else min(TICK_S, max(next_s, 0.005)))
        self._wake.clear()

    # ---------------------------------------------------------------- scanning

    def _scan_is_due(self, interval_s: float) -> bool:
        now = self._clock()
        due = min(self._scan_due, self._scanned_at + interval_s)
        if self._left.is_set():
            pause_s = max(LEFT_RESCAN_S, SCAN_SHARE * self._scan_s)
            due = min(due, max(self._scanned_at + pause_s, now + self._config.settle_s))
            self._left.clear()
        if self._lost.is_set():
            due = now
            self._lost.clear()
        self._scan_due = due
        return now >= due

    def _scan(self, stop: threading.Event) -> bool:
        """Look at all files: queue those that are new or changed, note those that are gone.

        Returns:
            whether the root was away, or is another folder than at the last scan.
        """
        began, wall_ns = self._clock(), self._wall_ns()
        listing = Listing(self._rules, self._config.follow_links)
        uris: set[int] = set()
        fingerprints: set[int] = set()
        found: list[tuple[str, FileStat]] = []
        identity = self._presence.identity()
        for path, stat in listing.files(self._root, stop) if identity is not None else ():
            uris.add(hash(file_uri(path)))
            if self._backlog.is_done(path, stat):
                fingerprints.add(fingerprint(path, stat))
            elif path not in self._in_flight and not self._refusals.rests(path):
                found.append((path, stat))
        if stop.is_set():
            return False
        verdict = self._presence.judge(identity, uris, listing.unreadable)
        self._report(verdict.health, verdict.detail)
        if verdict.readable:
            self._backlog.keep_done(fingerprints)
            self._refusals.forget_gone()
            self._queue(found, wall_ns)
        self._scanned_at = self._clock()
        self._scan_s = self._scanned_at - began
        self._scan_due = float("inf")
        self._jitter = self._rng.uniform(1 - JITTER, 1 + JITTER)
        return verdict.returned

    def _queue(self, found: list[tuple[str, FileStat]], wall_ns: int) -> None:
        """Queue what a scan found; files that may still be written to must settle first.

        mtimes are told by the clock of whoever has the disk, and that may be slow, or hours off.
        """
        for path, stat in found:
            if stat.mtime_ns + OLD_NS <= wall_ns:
                self._backlog.add(path, stat)
            else:
                self._tracker.seen(path)

    def _settle_s(self, path: str) -> float:
        """How long a file must stand still; a scanner closes a file, and adds the next page seconds later."""
        paged = path.lower().endswith(PAGED)
        return max(self._config.settle_s, self._config.settle_paged_s) if paged else self._config.settle_s

    def _start_over(self) -> None:
        """Forget what was under way; the scan finds it again."""
        self._in_flight.cancel()
        self._backlog.clear()
        self._lost.set()

    # ---------------------------------------------------------------- hints, from the observer's thread

    def _choose_watch(self) -> Watch | None:
        """A native watch, or None where only scanning helps."""
        self._chosen = chosen_observer(self._config.observer, filesystem_of(self._root))
        self.observer, self.observer_why = self._chosen
        if self.observer == "polling":
            log.info("scanning", source=self.name, every_s=self._config.poll_s, reason=self.observer_why)
            return None
        log.info("watching", source=self.name, reason=self.observer_why)
        return Watch(
            self._root,
            changed=self._on_changed,
            appeared=self._on_appeared,
            left=self._on_left,
            lost=self._on_lost,
            clock=self._clock,
            recursive=self._config.recursive,
        )

    def _on_changed(self, path: str) -> None:
        if self._rules.admits(path):
            self._tracker.touch(path)
            self._wake.set()

    def _on_appeared(self, folder: str) -> None:
        if self._rules.admits(folder) and self._rules.admits_folder(folder):
            self._folders.append(folder)
            self._wake.set()

    def _on_left(self, path: str) -> None:
        if path == self._root:
            self._on_lost()
        elif self._rules.admits(path):
            self._left.set()

    def _on_lost(self) -> None:
        self._lost.set()
        self._wake.set()

    # ---------------------------------------------------------------- health

    def _report_handicaps(self, watch: Watch | None) -> None:
        trouble = watch.trouble if watch is not None else ""
        self.observer, self.observer_why = ("polling", trouble) if trouble else self._chosen
        if trouble:
            self._report("degraded", f"{trouble}; scanning every {self._config.poll_s:g} s")
        elif self._presence.unreadable:
            self._report("degraded", self._presence.unreadable)
        else:
            self._report("online", "")

    def _report(self, health: Health, detail: str) -> None:
        if (health, detail) != (self.health, self.detail):
            level = log.info if health == "online" else log.warning
            level("source is " + health, source=self.name, detail=detail)
        self.health, self.detail = health, detail
        self._note(self.name, health, detail)
