"""A camera's own process: it may hang, crash or be killed at any instruction, and costs nobody but itself.

A live camera is read by a thread that never waits and leaves the newest picture in a slot; the main thread looks at it
`fps` times a second. A film is read by the main thread, which waits for its turn. One kept frame at a time is on its
way to the agent; while the agent has no room for it, a live camera's pictures are dropped and counted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from agent.address import Address
from agent.config import CameraConfig, DecodeConfig
from agent.frame import FileStat, Frame
from agent.killable import die_with, limit_memory
from agent.sources.feed import Feed, FeedError, Shot
from agent.sources.keeping import Keeper
from agent.sources.recorder import Recorder
from agent.sources.slot import LatestSlot
from agent.sources.timing import ArrivalClock, Sampler

BEAT_S = 0.5
TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Job:
    """All that the process needs to know.

    Attributes:
        folder: for kept frames.
        least_px: see `agent.decode.DecodePool`.
        once: a still is asked for once.
    """

    address: Address
    config: CameraConfig
    decode: DecodeConfig
    folder: Path
    least_px: int | None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything is imported; from now on time counts."""


@dataclass(frozen=True, slots=True)
class Beat:
    """How far it has come.

    Attributes:
        alive: signs of life from the camera; grows while it gives pictures.
        counts: by reason, since the process began.
        trouble: why nothing can be kept; empty when all is well.
    """

    alive: int
    counts: dict[str, int]
    trouble: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame; the next one comes after the agent has said that it has room."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message. `reason` is empty where a film was read to its end."""

    reason: str


Message = Ready | Beat | Kept | Ended
MORE = b"+"
"""What the agent answers to a frame that found room."""


def serve(pipe: Connection[Any, Any], parent: int, job: Job) -> None:
    """The process's main function."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they reach the whole group; the agent decides
    die_with(parent)
    limit_memory(job.decode.memory_mb)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libraries write lines with URLs
    with suppress(OSError, EOFError):  # the agent is gone
        pipe.send(Ready())
        pipe.send(Ended(_worked(pipe, job)))
    os._exit(0)  # a thread that hangs in a library must not hold up the end


def _worked(pipe: Connection[Any, Any], job: Job) -> str:
    try:
        lens = _Lens(pipe, job, _feed(job))
        if job.address.finite or job.once:
            lens.read_through()
        else:
            lens.watch()
        return ""
    except FeedError as error:
        return str(error)
    except (OSError, EOFError):
        raise
    except Exception as error:  # noqa: BLE001  the edge of the process: whatever it is, it costs this attempt only
        return f"internal error: {type(error).__name__}"


def _feed(job: Job) -> Feed:
    if job.address.kind == "still":
        from agent.sources.snapshot import SnapshotFeed

        return SnapshotFeed(job.address, job.config.snapshot, job.decode, once=job.once)
    from agent.sources.stream import StreamFeed

    return StreamFeed(job.address, job.config)


class _Lens:
    """Carries pictures from a feed to the agent's end of the pipe."""

    def __init__(self, pipe: Connection[Any, Any], job: Job, feed: Feed) -> None:
        self._pipe = pipe
        self._job = job
        self._feed = feed
        keeper = Keeper(job.folder, job.config.kept)
        wait = self._wait_for_room if job.address.finite else None
        self._recorder = Recorder(job.address.name, job.config, keeper, job.decode, job.least_px, wait)
        self._sampler = Sampler(job.config.fps)
        self._slot: LatestSlot[Shot] = LatestSlot()
        self._alive = 0
        self._busy = 0
        self._may_send = True
        self._beat_at_s = 0.0
        self._ended: BaseException | None = None

    # ---------------------------------------------------------------- a film

    def read_through(self) -> None:
        """Every picture in turn, at its own time; none is dropped for want of room."""
        began = self._began()
        for shot in self._feed.shots():
            self._alive += 1
            self._beat()
            if shot is not None and (not self._job.address.finite or self._sampler.due(shot.at_s)):
                taken_at = began + timedelta(seconds=shot.at_s) if began is not None else datetime.now(UTC)
                self._offer(shot, taken_at)
                while not self._may_send:
                    self._hear(BEAT_S)
                    self._beat()
        self._beat(now=True)

    def _wait_for_room(self) -> None:
        """The film waits for the disk; waiting is a sign of life."""
        time.sleep(BEAT_S)
        self._alive += 1
        self._beat(now=True)

    def _began(self) -> datetime | None:
        """When a film began: it was written to for the last time when it ended."""
        if not self._job.address.finite:
            return None
        from agent.sources.stream import duration_s

        written_at = FileStat.of(os.stat(self._job.address.url)).written_at
        return written_at - timedelta(seconds=duration_s(self._job.address))

    # ---------------------------------------------------------------- a live camera

    def watch(self) -> None:
        """Look at the newest picture now and then, until nothing comes any more."""
        clock = ArrivalClock(time.monotonic, lambda: datetime.now(UTC))
        threading.Thread(target=self._read, daemon=True).start()
        while self._ended is None:
            self._hear(TICK_S)
            self._beat()
            if not self._sampler.due(time.monotonic()):
                continue
            if not self._may_send:
                self._busy += 1
                continue
            shot = self._slot.take()
            if shot is not None:
                self._offer(shot, clock.at(shot.at_s))
        self._beat(now=True)
        raise self._ended

    def _read(self) -> None:
        try:
            for shot in self._feed.shots():
                self._alive += 1
                if shot is not None:
                    self._slot.put(shot)
            self._ended = FeedError("the stream has ended")
        except BaseException as error:  # noqa: BLE001  the edge of this thread; the main thread says it
            self._ended = error

    # ---------------------------------------------------------------- to the agent

    def _offer(self, shot: Shot, captured_at: datetime) -> None:
        frame = self._recorder.take(shot, captured_at)
        if frame is not None:
            self._beat(now=True)  # nobody gets a frame from a camera that they think is away
            self._may_send = False
            self._pipe.send(Kept(frame))

    def _hear(self, timeout_s: float) -> None:
        if self._pipe.poll(timeout_s):
            self._pipe.recv_bytes()
            self._may_send = True

    def _beat(self, now: bool = False) -> None:
        at_s = time.monotonic()
        if not now and at_s - self._beat_at_s < BEAT_S:
            return
        self._beat_at_s = at_s
        counts = Counter(self._recorder.counts) + Counter(self._feed.counts)
        counts.update(decoded=self._alive, skipped=self._slot.dropped, busy=self._busy)
        self._pipe.send(Beat(self._alive, dict(counts), self._recorder.trouble))
