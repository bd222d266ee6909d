"""Pictures that other programs and machines send, as a source: its thread, its event loop, its socket and its files.

What a request may say and what it is told is `agent.sources.push_http`.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.address import RECEIVER
from agent.config import PushConfig
from agent.decode import DecodePool
from agent.inbox import Inbox
from agent.listen import parse
from agent.sources.backlog import ASK_AT_ONCE
from agent.sources.backoff import Backoff
from agent.sources.keeping import free_bytes
from agent.sources.protocol import Health
from agent.sources.push_http import CROWDED, Door, Memory
from agent.sources.retention import KeptFile, doomed, listing, remove, sweep_torn
from agent.uri import file_uri

log = structlog.get_logger(__name__)

LOOK_S = 0.1
TIDY_S = 60.0
SEEK_S = 3_600.0
"""How often files are looked for that people have deleted."""
HEAD_S = 10.0
"""A connection that has not said what it wants by then is closed."""
GRACE_S = 1
BACKLOG = 128
THREADS = 4
LEAST_S, MOST_S = 1.0, 10.0

Note = Callable[[str, Health, str], None]


class PushSource:
    """One door for pictures. `run` and `drain` belong to one thread; the attributes may be read by any.

    Args:
        folder: for the pictures' files; nobody else writes there.
        note: told of every change of health.
        clock: monotonic seconds.
        wall: seconds since the epoch.
        rng: spreads the waits between attempts to listen.

    Attributes:
        health, detail, counts: see `agent.sources.protocol.Source`.
    """

    def __init__(
        self,
        config: PushConfig,
        memory: Memory,
        pool: DecodePool,
        inbox: Inbox,
        folder: Path,
        *,
        note: Note = lambda source, health, detail: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self.name = RECEIVER
        self.health: Health = "offline"
        self.detail = "not tried yet"
        self.counts: dict[str, int] = {}
        self.observer, self.observer_why = "", ""
        self._config = config
        self._listen = parse(config.listen)
        self._memory = memory
        self._pool = pool
        self._inbox = inbox
        self._folder = folder
        self._note = note
        self._clock = clock
        self._wall = wall
        self._backoff = Backoff(LEAST_S, MOST_S, rng or random.Random())

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop`; a port that is taken is tried again and again."""
        self._begin()
        while not stop.is_set():
            try:
                with self._socket() as listener:
                    asyncio.run(self._serve(listener, stop))
            except OSError as error:
                self._report("offline", f"{self._listen}: {error.strerror or error}")
            except Exception as error:  # the edge of this worker: others live on
                log.exception("the door for pictures failed; trying again", source=self.name)
                self._report("offline", type(error).__name__)
            stop.wait(self._backoff.next_s())

    def drain(self, stop: threading.Event) -> None:
        """Nothing is there before somebody sends it."""
        self._begin()
        self._inbox.join(stop)

    def _socket(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._listen.host else socket.AF_INET
        return socket.create_server((self._listen.host, self._listen.port), family=family, backlog=BACKLOG)

    # ---------------------------------------------------------------- in the event loop

    async def _serve(self, listener: socket.socket, stop: threading.Event) -> None:
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="push")
        door = Door(self._config, self._memory, self._pool, self._inbox, self._folder, threads)
        before = Counter(self.counts)
        server = uvicorn.Server(self._settings(door))
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        tidying = asyncio.ensure_future(self._keep_tidy(threads))
        try:
            while not (stop.is_set() or serving.done()):
                self._report("degraded" if door.trouble else "online", door.trouble)
                self.counts = dict(before + door.counts)
                await asyncio.sleep(LOOK_S)
        finally:
            door.stopping.set()
            server.should_exit = True
            tidying.cancel()
            await serving
            self.counts = dict(before + door.counts)
            threads.shutdown(wait=False, cancel_futures=True)

    def _settings(self, door: Door) -> uvicorn.Config:
        return uvicorn.Config(
            door.application(),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[("Connection", "close")],  # one request each: who dawdles between two holds none
            limit_concurrency=4 * self._config.at_once + BACKLOG,
            timeout_graceful_shutdown=GRACE_S,
        )

    async def _keep_tidy(self, threads: ThreadPoolExecutor) -> None:
        sought_at = self._clock()
        while True:
            await asyncio.sleep(TIDY_S)
            await asyncio.get_running_loop().run_in_executor(threads, self.tidy)
            if self._clock() - sought_at >= SEEK_S:
                await asyncio.get_running_loop().run_in_executor(threads, self.mark_lost)
                sought_at = self._clock()

    # ---------------------------------------------------------------- its files

    def _begin(self) -> None:
        """What a killed agent left: torn files, and whole ones that were never stored. Nobody was promised anything."""
        try:
            sweep_torn(self._folder)
            self.tidy()
            files = listing(self._folder, "")
            for start in range(0, len(files), ASK_AT_ONCE):
                some = {file_uri(file.path): file for file in files[start : start + ASK_AT_ONCE]}
                known = self._memory.known(list(some))
                remove([file for uri, file in some.items() if uri not in known])
        except Exception:  # as in `run`
            log.exception("pushed pictures cannot be looked through", source=self.name)
        self.mark_lost()

    def mark_lost(self) -> None:
        """People may delete what they find in the data directory; if all of it is gone, it is rather out of sight."""
        try:
            present = list(self._memory.present_below(file_uri(self._folder) + os.sep))  # a file comes before its row
            there = {file_uri(file.path) for file in listing(self._folder, "")}
            lost = [uri for uri in present if uri not in there]
            if there and lost:
                self._memory.mark_missing(lost)
                log.info("pushed pictures are gone", source=self.name, files=len(lost))
        except Exception:  # as in `run`
            log.exception("pushed pictures that are gone cannot be looked for", source=self.name)

    def tidy(self) -> None:
        """Delete what is too old or too much. It is marked missing first: an agent killed in between asks again."""
        try:
            going = self._doomed()
            if going:
                self._memory.mark_missing([file_uri(file.path) for file in going])
                remove(going)
                log.info("pushed pictures deleted", source=self.name, files=len(going))
        except Exception:  # as in `run`
            log.exception("pushed pictures cannot be tidied", source=self.name)

    def _doomed(self) -> list[KeptFile]:
        if not self._folder.is_dir():
            return []
        room = free_bytes(self._folder) - (self._config.max_mb << 20)  # one more must always fit
        return doomed(listing(self._folder, ""), self._config.kept, self._wall(), room)

    # ---------------------------------------------------------------- health

    def _report(self, health: Health, detail: str) -> None:
        if (health, detail) != (self.health, self.detail):
            level = log.info if health == "online" else log.warning
            level("the door for pictures is " + health, source=self.name, listen=str(self._listen), detail=detail)
        self.health, self.detail = health, detail
        self._note(self.name, health, detail)


class _Connection(H11Protocol):
    """uvicorn's connection, which would wait for ever for somebody to say what it wants, beside any number of others.

    Each of them costs an open file, and those are the whole agent's.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self.connections.discard(self)
            transport.write(CROWDED.encode())
            transport.close()
        else:
            self.loop.call_later(HEAD_S, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
