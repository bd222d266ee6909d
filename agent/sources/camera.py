"""A camera as a source: keeps its process alive, passes on what it keeps, looks after its files, says how it is.

The process (`agent.sources.camera_process`) may hang or die at any time; it is killed and made anew, never mended,
because a reader that was disturbed once seldom recovers (frigate#6502, #7927). It knows nothing about video.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent.address import Address
from agent.config import CameraConfig, DecodeConfig
from agent.decode import DecodePool
from agent.frame import FileStat, Frame, Origin, Rejected
from agent.inbox import Inbox
from agent.sources.backlog import ASK_AT_ONCE
from agent.sources.backoff import Backoff
from agent.sources.camera_process import MORE, Beat, Ended, Job, Kept, Message, Ready, serve
from agent.sources.keeping import free_bytes
from agent.sources.protocol import Catalogue, Health
from agent.sources.retention import doomed, listing, remove, sweep_torn
from agent.uri import file_uri

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

log = structlog.get_logger(__name__)

POLL_S = 0.1
START_S = 60.0
TIDY_S = 60.0
JOIN_S = 1.0
STOPPED = "stopped"
ATTEMPTS = 3
"""A film that cannot be read is tried so often."""

Note = Callable[[str, Health, str], None]


class CameraSource:
    """One camera. `run` and `drain` belong to one thread; the attributes may be read by any.

    Args:
        folder: for its kept pictures; nobody else writes there.
        note: told of every change of health.
        clock: monotonic seconds.
        wall: the time of day.
        rng: spreads the waits between attempts.

    Attributes:
        health, detail, counts: see `agent.sources.protocol.Source`.
    """

    def __init__(
        self,
        address: Address,
        config: CameraConfig,
        decode: DecodeConfig,
        catalogue: Catalogue,
        pool: DecodePool,
        inbox: Inbox,
        folder: Path,
        *,
        least_px: int | None = None,
        note: Note = lambda source, health, detail: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
    ) -> None:
        self.name = address.name
        self.health: Health = "offline"
        self.detail = "not tried yet"
        self.counts: dict[str, int] = {}
        self.observer, self.observer_why = "", ""
        self._address = address
        self._config = config
        self._job = Job(address, config, decode, folder, least_px)
        self._catalogue = catalogue
        self._pool = pool
        self._inbox = inbox
        self._folder = folder
        self._note = note
        self._clock = clock
        self._wall = wall
        self._backoff = Backoff(config.backoff_s, config.backoff_max_s, rng or random.Random())
        self._pending: deque[Frame | Rejected] = deque()
        self._found: deque[Future[list[Frame | Rejected]]] = deque()
        self._paths: deque[str] = deque()
        self._past: Counter[str] = Counter()
        self._present: dict[str, int] = {}
        self._well_since: float | None = None
        self._tidy_at = float("-inf")

    # ---------------------------------------------------------------- the two ways to go

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop`; whatever happens is reported, waited out and tried again. A film ends before that."""
        attempts = 0
        self._begin()
        while not stop.is_set():
            reason = self._attempt(self._job, stop)
            attempts += 1
            if reason is None or (self._address.finite and attempts == ATTEMPTS):
                self._finish(reason)
                break
            self._wait(self._backoff.next_s(), stop)
        while not stop.is_set():
            self._wait(TIDY_S, stop)

    def drain(self, stop: threading.Event) -> None:
        """Read a film to its end, or ask for one still, and wait for the inbox."""
        self._begin()
        once = Job(self._address, self._config, self._job.decode, self._folder, self._job.least_px, once=True)
        reason: str | None = None
        for _ in range(ATTEMPTS):
            reason = self._attempt(once, stop)
            if reason is None or stop.is_set():
                break
            self._wait(self._backoff.next_s(), stop)
        self._finish(reason)
        while not stop.is_set() and not (self._deliver() and not self._paths and not self._found):
            stop.wait(POLL_S)
        self._inbox.join(stop)

    def _finish(self, reason: str | None) -> None:
        """Nothing more is to come from a film; a broken one is a recorded fact, like a broken picture."""
        if reason is None:
            self._report("online", "read to its end" if self._address.finite else "")
            self._forgive()
        elif self._address.finite and reason != STOPPED:
            self._pending.append(self._rejected(reason))

    def _forgive(self) -> None:
        """A film that was rejected once and could be read now is rejected no more."""
        uri = file_uri(self._address.url)
        try:
            if self._catalogue.known([uri]):
                self._catalogue.mark_missing([uri])
        except Exception:  # as in `_attempt`
            log.exception("the film stays among the rejected", source=self.name)

    def _rejected(self, reason: str) -> Rejected:
        origin, path = Origin(file_uri(self._address.url), self.name, self._wall()), self._address.url
        with suppress(OSError):
            facts = os.stat(path)
            stat = FileStat.of(facts)
            origin = Origin(origin.uri, self.name, stat.written_at, stat)
        return Rejected("", f"cannot be read as video: {reason}", origin)

    # ---------------------------------------------------------------- one attempt

    def _attempt(self, job: Job, stop: threading.Event) -> str | None:
        """Work with one process until it ends; why it did, and None where it had nothing more to give."""
        self._well_since = None
        try:
            with _Child(job) as child:
                reason = self._listen(child, stop)
        except OSError as error:
            reason = f"its process cannot be started: {error.strerror}"
        except Exception as error:  # the edge of this worker: a locked database or a bug must pass, and others live on
            log.exception("the camera's thread failed; trying again", source=self.name)
            reason = f"{type(error).__name__}"
        self._past.update(self._present)
        self._present = {}
        if reason is not None and not stop.is_set():
            self._backoff.worked(0 if self._well_since is None else self._clock() - self._well_since)
            self._report("offline", reason)
        return reason

    def _listen(self, child: _Child, stop: threading.Event) -> str | None:
        alive, progress_at, ready = 0, self._clock(), False
        owing = False
        while not stop.is_set():
            message = child.receive(POLL_S)
            if isinstance(message, Ready):
                ready, progress_at = True, self._clock()
            elif isinstance(message, Beat):
                self._count(message)
                if message.alive > alive:
                    alive, progress_at = message.alive, self._clock()
                    self._well_since = progress_at if self._well_since is None else self._well_since
                    self._report("degraded" if message.trouble else "online", message.trouble)
            elif isinstance(message, Kept):
                self._pending.append(message.frame)
                owing = True
            elif isinstance(message, Ended):
                return message.reason or None
            if self._deliver() and owing:
                child.say_more()
                owing = False
            self._tidy_if_due()
            if owing:
                progress_at = self._clock()
            limit_s = self._stall_s if ready else START_S
            if self._clock() - progress_at > limit_s:
                return f"no picture for {limit_s:g} s"
        return STOPPED

    @property
    def _stall_s(self) -> float:
        still_s = self._config.snapshot.every_s if self._address.kind == "still" else 0
        return self._config.stall_s + still_s

    def _count(self, beat: Beat) -> None:
        self._present = beat.counts
        self.counts = dict(self._past + Counter(beat.counts))

    def _deliver(self) -> bool:
        """Offer what waits, in order; True when nothing waits any more."""
        self._read_found()
        while self._pending and self._inbox.offer(self._pending[0]):
            self._pending.popleft()
        return not self._pending

    def _read_found(self) -> None:
        """Have files read that an agent before this one has kept and not stored, a few at a time."""
        while self._paths and len(self._found) < self._pool.workers:
            self._found.append(self._pool.submit(Path(self._paths.popleft()), self.name))
        while self._found and self._found[0].done() and not self._pending:
            done = self._found.popleft()
            if done.cancelled() or done.exception() is not None:  # the pool is closed, or has no processes; next time
                return
            self._pending.extend(done.result())

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        until = self._clock() + seconds
        while not stop.is_set() and self._clock() < until:
            self._deliver()
            self._tidy_if_due()
            stop.wait(min(POLL_S, seconds))

    # ---------------------------------------------------------------- its files

    def _begin(self) -> None:
        """What a killed agent left: torn files go, kept ones that were never stored are read, lost ones are missing."""
        try:
            sweep_torn(self._folder)
            self._tidy()
            files = [file.path for file in sorted(listing(self._folder))]
            self._mark_lost({file_uri(path) for path in files})
            for start in range(0, len(files), ASK_AT_ONCE):
                some = {file_uri(path): path for path in files[start : start + ASK_AT_ONCE]}
                known = self._catalogue.known(list(some))
                self._paths += [some[uri] for uri in some if uri not in known]
        except Exception:  # as in `_attempt`
            log.exception("kept pictures cannot be looked through", source=self.name)

    def _mark_lost(self, uris: set[str]) -> None:
        """People may delete what they find in the data directory; if all of it is gone, it is rather out of sight."""
        ours = file_uri(self._folder) + os.sep
        present = [uri for uri in self._catalogue.present_uris(self.name) if uri.startswith(ours)]
        lost = [uri for uri in present if uri not in uris]
        if uris and lost:
            self._catalogue.mark_missing(lost)

    def _tidy_if_due(self) -> None:
        if self._clock() - self._tidy_at < TIDY_S:
            return
        try:
            self._tidy()
        except Exception:  # as in `_attempt`
            log.exception("kept pictures cannot be tidied", source=self.name)

    def _tidy(self) -> None:
        """Delete what is too old or too much. It is marked missing first: an agent killed in between asks again."""
        self._tidy_at = self._clock()
        if not self._folder.is_dir():
            return
        free = free_bytes(self._folder)
        going = doomed(listing(self._folder), self._config.kept, self._wall().timestamp(), free)
        if going:
            self._catalogue.mark_missing([file_uri(file.path) for file in going])
            remove(going)
            log.info("kept pictures deleted", source=self.name, files=len(going))

    # ---------------------------------------------------------------- health

    def _report(self, health: Health, detail: str) -> None:
        if (health, detail) != (self.health, self.detail):
            level = log.info if health == "online" else log.warning
            level("camera is " + health, source=self.name, url=self._address.shown, detail=detail)
        self.health, self.detail = health, detail
        self._note(self.name, health, detail)


class _Child:
    """The agent's end of a camera's process; leaving the block kills it."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=serve, args=(theirs, os.getpid(), job), name=f"camera {job.address.name}", daemon=True
        )
        try:
            self._process.start()
        except OSError:
            self._pipe.close()
            raise
        finally:
            theirs.close()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join(JOIN_S)
        with suppress(ValueError):  # it hangs in the kernel, and will be gone when its disk is back
            self._process.close()
        self._pipe.close()

    def receive(self, timeout_s: float) -> Message | None:
        """Its next message; None if there is none so soon."""
        try:
            if not self._pipe.poll(timeout_s):
                return None
            message: Message = self._pipe.recv()
            return message
        except (EOFError, OSError):
            self._process.join(1.0)
            return Ended(f"its process ended unexpectedly ({self._process.exitcode})")

    def say_more(self) -> None:
        """There is room for another frame."""
        with suppress(OSError):  # it has died; `receive` will say so
            self._pipe.send_bytes(MORE)
