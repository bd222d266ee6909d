from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.catalogue import StoreCatalogue
from agent.config import DecodeConfig, FolderConfig
from agent.decode import DecodePool
from agent.embed_worker import EmbedWorker
from agent.frame import Frame, Rejected
from agent.inbox import Inbox
from agent.sources.folder import FolderSource
from storage.queries import Queries
from storage.store import Store
from tests.agent.sources.watched import Watched


class Archive:
    """A catalogue in memory, and the thread that stores what comes through an inbox."""

    def __init__(self, capacity: int = 64) -> None:
        self.inbox = Inbox(capacity)
        self.items: list[Frame | Rejected] = []
        self.present: dict[str, tuple[int, int]] = {}
        self.rejected: dict[str, tuple[int, int]] = {}
        self.missing: list[str] = []
        self.asked: list[int] = []
        self.pause_s = 0.0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._store, daemon=True)

    # the catalogue

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        self.asked.append(len(uris))
        both = self.rejected | self.present
        return {uri: both[uri] for uri in uris if uri in both}

    def present_uris(self, source: str) -> Iterator[str]:
        assert source == "here"
        return iter(list(self.present))

    def mark_missing(self, uris: Sequence[str]) -> None:
        self.missing.extend(uris)
        for uri in uris:
            self.present.pop(uri, None)

    # the consumer

    def _store(self) -> None:
        while not self.stop.is_set():
            items = self.inbox.take(4, 0.05)
            if self.pause_s and items:
                self.stop.wait(self.pause_s)
            for item in items:
                stat = item.origin.stat
                place = self.present if isinstance(item, Frame) else self.rejected
                if stat is not None:
                    place[item.origin.uri] = (stat.size_bytes, stat.mtime_ns)
                self.items.append(item)
            self.inbox.acknowledge(items)

    # what tests want to know

    def frames(self) -> list[Frame]:
        return [item for item in list(self.items) if isinstance(item, Frame)]

    def rejections(self) -> list[Rejected]:
        return [item for item in list(self.items) if isinstance(item, Rejected)]

    def names(self) -> list[str]:
        """Names of the pictures in the order in which they came."""
        return [Path(frame.origin.uri).name for frame in self.frames()]


def picture(seed: int = 0, name: str = "JPEG", side: int = 40) -> bytes:
    """An encoded picture of noise, different for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, name)
    return buffer.getvalue()


@pytest.fixture(name="picture")
def picture_fixture() -> Callable[..., bytes]:
    return picture


@pytest.fixture(scope="session")
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=20))
    yield pool
    pool.close()


@pytest.fixture
def archive() -> Iterator[Archive]:
    archive = Archive()
    archive.thread.start()
    yield archive
    archive.stop.set()
    archive.thread.join(5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


@pytest.fixture
def make(folder: Path, archive: Archive, pool: DecodePool) -> Callable[..., FolderSource]:
    """A source over `folder` with short times; keywords change its configuration."""

    def make(exclude: Sequence[Path] = (), pool: DecodePool = pool, **changes: object) -> FolderSource:
        config = FolderConfig(**{"settle_s": 0.1, "settle_paged_s": 0.1, "rescan_s": 60, "poll_s": 0.2, **changes})
        return FolderSource(folder, "here", config, archive, pool, archive.inbox, exclude)

    return make


class Blank:
    """An embedder for which all pictures are alike."""

    image_px = 32

    def embed(self, pixels: list[object]) -> tuple[object, dict[int, object]]:
        return np.zeros((len(pixels), 4), dtype=np.float16), {}


@pytest.fixture
def scan(folder: Path, store: Store, queries: Queries, pool: DecodePool) -> Iterator[Callable[..., None]]:
    """One look at all that is in `folder`, into a real store, each as after a restart."""
    inbox, stop = Inbox(16), threading.Event()
    worker = EmbedWorker(inbox, Blank(), store, queries, batch=8)  # type: ignore[arg-type]
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()

    def look(config: FolderConfig = FolderConfig(settle_s=0.05, settle_paged_s=0.05)) -> None:  # noqa: B008 (frozen)
        FolderSource(folder, "here", config, StoreCatalogue(store, queries), pool, inbox).drain(threading.Event())

    yield look
    stop.set()
    thread.join(10)


@pytest.fixture
def until() -> Callable[..., bool]:
    def eventually(condition: Callable[[], bool], timeout_s: float = 10) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return eventually


@pytest.fixture
def running(make: Callable[..., FolderSource]) -> Iterator[Callable[..., FolderSource]]:
    """Start a source in a thread of its own; it is stopped, and must stop in time, at the end of the test."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(**changes: object) -> FolderSource:
        source = make(**changes)
        thread = threading.Thread(target=source.run, args=(stop,), daemon=True)
        thread.start()
        threads.append(thread)
        deadline = time.monotonic() + 5
        while source._scanned_at == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        return source

    yield start
    stop.set()
    began = time.monotonic()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert time.monotonic() - began < 2


@pytest.fixture
def watched(tmp_path: Path, archive: Archive, pool: DecodePool) -> Iterator[Watched]:
    watched = Watched(archive, pool, tmp_path / "frames" / "here")
    yield watched
    watched.end()
