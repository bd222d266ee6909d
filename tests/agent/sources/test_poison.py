"""Files that kill or hang whoever decodes them, from the folder to the rejected row."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from agent.catalogue import StoreCatalogue
from agent.config import DecodeConfig, FolderConfig
from agent.decode import DecodePool, Reader
from agent.embed_worker import EmbedWorker
from agent.inbox import Inbox
from agent.sources.folder import FolderSource
from storage.queries import Queries
from storage.store import Store
from tests.agent.sources.conftest import picture


class Blank:
    """An embedder for which all pictures are alike."""

    image_px = 32

    def embed(self, pixels: list[object]) -> tuple[object, dict[int, object]]:
        return np.zeros((len(pixels), 4), dtype=np.float16), {}


@pytest.fixture
def deadly(faulty: Callable[[str], Reader]) -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=0.6), faulty("read"))
    yield pool
    pool.close()


@pytest.fixture
def scan(folder: Path, store: Store, queries: Queries, deadly: DecodePool) -> Iterator[Callable[[], None]]:
    """One look at all that is there, each as after a restart."""
    inbox, stop = Inbox(16), threading.Event()
    worker = EmbedWorker(inbox, Blank(), store, queries, batch=8)  # type: ignore[arg-type]
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    make = partial(FolderSource, folder, "here", FolderConfig(settle_s=0.05), StoreCatalogue(store, queries), deadly)
    yield lambda: make(inbox).drain(threading.Event())
    stop.set()
    thread.join(10)


def reasons(queries: Queries) -> dict[str, str]:
    return {Path(row.uri).name: row.reason for row in queries.pictures(status="rejected")}


def test_poison_is_tried_three_times_and_again_when_it_changes(
    scan: Callable[[], None], folder: Path, queries: Queries
) -> None:
    for seed, name in enumerate(["hang.jpg", "crash.jpg", "fine.jpg"]):
        (folder / name).write_bytes(picture(seed))
    told = []
    for _ in range(3):
        scan()
        told.append(reasons(queries))
    first = {
        "hang.jpg": "took longer than 0.6 s; to be tried again",
        "crash.jpg": "the decoder crashed (SIGSEGV); to be tried again",
    }
    given_up = {
        "hang.jpg": "took longer than 0.6 s; 3 attempts",
        "crash.jpg": "the decoder crashed (SIGSEGV); 3 attempts",
    }
    assert told == [first, first, given_up]
    scan()
    assert reasons(queries) == given_up, "it was left alone"
    os.utime(folder / "crash.jpg")
    scan()
    assert reasons(queries)["crash.jpg"] == "the decoder crashed (SIGSEGV); 4 attempts"
    (folder / "crash.jpg").write_bytes(picture(7))
    scan()
    assert reasons(queries)["crash.jpg"] == first["crash.jpg"]
    assert queries.status().pictures == 1
