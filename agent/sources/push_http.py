"""The door for pictures that others send: POST /ingest, and GET /health. Who may, what came, and what is answered.

A request is answered with 2xx only when its picture is stored and its file is synced, so the sender may delete its
copy. It knows nothing about sockets and threads; all of it runs in one event loop.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.config import PushConfig
from agent.decode import DecodePool
from agent.frame import Frame, Rejected
from agent.inbox import Inbox
from agent.killable import WorkerStartError
from agent.magic import sniff
from agent.sources.arriving import Arriving, TooLarge
from agent.sources.keeping import NoRoom
from agent.sources.protocol import Catalogue
from agent.sources.push_label import Label, read_label
from agent.uri import file_uri

log = structlog.get_logger(__name__)

POLL_S = 0.02
AGAIN_S = 2
"""When to come again, in Retry-After."""
CROWDED = (
    f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {AGAIN_S}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)
"""For whom there is not even a connection."""
UNREAD_BYTES = 4 << 20
UNREAD_S = 2.0
"""So much of a refused picture is read and thrown away, for so long: many senders read no answer before all is sent."""

T = TypeVar("T")


class Memory(Catalogue, Protocol):
    """A catalogue that knows pictures by their content and by where they lie, too."""

    def existing(self, shas: Sequence[str]) -> dict[str, int]:
        """Ids of those content hashes that are stored."""

    def present_below(self, folder: str) -> Iterator[str]:
        """All uris that begin so and are not marked missing."""


class Refused(Exception):
    """A request is not granted.

    Args:
        count: under which it is counted.
        again: whether the same request may be granted a little later.
    """

    def __init__(self, status: int, count: str, message: str, *, again: bool = False, **more: str) -> None:
        super().__init__(message)
        self.status, self.count, self.again, self.more = status, count, again, more


class Door:
    """Takes requests.

    Args:
        folder: for the pictures' files.
        threads: for what may block.

    Attributes:
        counts: what became of requests.
        trouble: why nothing can be taken now; empty when all is well.
        stopping: once set, whatever is in hand is answered at once.
    """

    def __init__(
        self, config: PushConfig, memory: Memory, pool: DecodePool, inbox: Inbox, folder: Path, threads: Executor
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.trouble = ""
        self.stopping = asyncio.Event()
        self._config = config
        self._token = config.token.get_secret_value().encode()
        self._memory = memory
        self._pool = pool
        self._inbox = inbox
        self._folder = folder
        self._threads = threads
        self._in_hand = 0
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    def application(self) -> Starlette:
        """As ASGI."""
        routes = [
            Route("/ingest", self._ingest, methods=["POST"]),
            Route("/health", self._health, methods=["GET"]),
        ]
        application = Starlette(routes=routes)
        application.router.redirect_slashes = False  # behind a proxy it would lead to http, and the token with it
        return application

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "degraded" if self.trouble else "ok"})

    async def _ingest(self, request: Request) -> Response:
        try:
            label = self._admitted(request)
            self._in_hand += 1
            try:
                return await self._unless_stopped(self._take(request, label))
            finally:
                self._in_hand -= 1
        except Refused as refused:
            self.counts[refused.count] += 1
            if refused.status != 408:
                await self._read_the_rest(request)
            return _answer(refused)

    # ---------------------------------------------------------------- before anything is read

    def _admitted(self, request: Request) -> Label:
        if "origin" in request.headers:  # a page in somebody's browser reaches this machine's loopback, too
            raise Refused(403, "forbidden", "pages in a browser may not send pictures")
        if self._token and not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._bearer):
            raise Refused(401, "unauthorised", "send the header Authorization: Bearer TOKEN")
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refused(400, "bad_headers", "send the picture alone and no form: curl --data-binary @7.jpg")
        try:
            label = read_label(request.headers)
        except ValueError as error:
            raise Refused(400, "bad_headers", str(error)) from None
        if int(request.headers.get("content-length", 0)) > self._most_bytes:
            raise self._too_large()
        if self.stopping.is_set():
            raise _stopping()
        if self._in_hand >= self._config.at_once:
            raise Refused(503, "busy", f"{self._in_hand} requests are in hand", again=True)
        return label

    @property
    def _bearer(self) -> bytes:
        return b"Bearer " + self._token

    @property
    def _most_bytes(self) -> int:
        return self._config.max_mb << 20

    def _too_large(self) -> Refused:
        return Refused(413, "too_large", f"a picture has at most {self._config.max_mb} MB here (push.max_mb)")

    async def _unless_stopped(self, work: Awaitable[Response]) -> Response:
        task = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() or task.cancelled():  # the pool cancels what it has in hand when it is closed
                raise _stopping()
            return task.result()
        finally:
            task.cancel()
            stopped.cancel()

    # ---------------------------------------------------------------- reading

    async def _take(self, request: Request, label: Label) -> Response:
        arriving: Arriving | None = None
        try:
            async with _within(self._config.read_s, Refused(408, "too_slow", "the picture took too long to come")):
                arriving = Arriving(self._folder, self._most_bytes, self._config.kept.free_mb << 20)
                async for piece in request.stream():
                    arriving.write(piece)
            request.state.whole = True
            busy = Refused(503, "busy", "the agent is behind; nothing was lost, send it again", again=True)
            async with _within(self._config.wait_s, busy):
                return await self._store(arriving, label)
        except TooLarge:
            raise self._too_large() from None
        except NoRoom as error:
            self.trouble = str(error)
            raise Refused(503, "no_room", "the agent's disk is full", again=True) from None
        except ClientDisconnect:
            raise Refused(400, "broken_off", "the picture did not come whole") from None
        except Refused:
            raise
        except Exception:  # the edge of this request: a locked database or a bug must pass, and others live on
            log.exception("a picture could not be taken")
            raise Refused(503, "failed", "the agent has failed; its log says how", again=True) from None
        finally:
            if arriving is not None:
                arriving.discard()

    async def _read_the_rest(self, request: Request) -> None:
        """Let a sender finish that reads no answer before; who asked first (Expect) has sent nothing."""
        if self.stopping.is_set() or "expect" in request.headers or getattr(request.state, "whole", False):
            return
        left = UNREAD_BYTES
        try:
            async with asyncio.timeout(UNREAD_S):
                while left > 0:
                    message = await request.receive()
                    left -= len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return

    # ---------------------------------------------------------------- storing

    async def _store(self, arriving: Arriving, label: Label) -> Response:
        """Keep the file, have it decoded and stored, and wait for the acknowledgement."""
        sha256 = arriving.sha256
        async with self._turn(sha256):
            path, kept_before = await self._apart(arriving.keep, label.name)
            self.trouble = ""
            uri = file_uri(path)
            await self._acknowledged(uri)  # it may be under way since a request that was told to come again
            before = await self._id(sha256)
            if before is not None and kept_before:
                return self._stored(200, sha256, before)
            item = await self._decoded(path, label)
            while not self._inbox.offer(item):
                await asyncio.sleep(POLL_S)
            await self._acknowledged(uri)
            if isinstance(item, Rejected):
                status = 415 if sniff(arriving.head) is None else 422
                raise Refused(status, "rejected", item.reason, sha256=sha256)
            number = await self._id(sha256)
            if number is None:
                await self._apart(path.unlink, True)
                raise Refused(410, "forgotten", "a person has had this picture forgotten", sha256=sha256)
            return self._stored(201 if before is None else 200, sha256, number)

    def _stored(self, status: int, sha256: str, number: int) -> Response:
        self.counts["stored" if status == 201 else "repeated"] += 1
        return JSONResponse({"sha256": sha256, "id": number}, status)

    async def _decoded(self, path: Path, label: Label) -> Frame | Rejected:
        try:
            (item,) = await asyncio.wrap_future(self._pool.submit(path, label.source))
        except (WorkerStartError, RuntimeError):  # the pool has no processes, or is closed
            raise Refused(503, "failed", "the agent cannot decode now", again=True) from None
        if label.captured_at is None:
            return item
        return replace(item, origin=replace(item.origin, captured_at=label.captured_at))

    async def _acknowledged(self, uri: str) -> None:
        while self._inbox.holds(uri):
            await asyncio.sleep(POLL_S)

    async def _id(self, sha256: str) -> int | None:
        return (await self._apart(self._memory.existing, [sha256])).get(sha256)

    async def _apart(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    @asynccontextmanager
    async def _turn(self, sha256: str) -> AsyncIterator[None]:
        """Requests with the same content, one after the other."""
        lock, waiting = self._turns.get(sha256, (asyncio.Lock(), 0))
        self._turns[sha256] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns.pop(sha256)
            if waiting > 1:
                self._turns[sha256] = lock, waiting - 1


@asynccontextmanager
async def _within(seconds: float, otherwise: Refused) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise otherwise from None


def _stopping() -> Refused:
    return Refused(503, "stopped", "the agent is stopping", again=True)


def _answer(refused: Refused) -> Response:
    headers = {"Retry-After": str(AGAIN_S)} if refused.again else {}
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(refused), **refused.more}, refused.status, headers)
