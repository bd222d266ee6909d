from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy.exc import OperationalError
from torch import nn

from agent.embed_worker import EmbedWorker
from agent.frame import FileStat, Frame, Origin, Rejected
from agent.inbox import Inbox
from agent.thumbnail import encode_thumbnail, pixels_of
from storage.queries import Queries
from storage.store import Store
from tests.pictures import draw

DIMS = 4


class MeanColour:
    """An embedder that tests can foresee: mean colour and version."""

    image_px = 32

    def __init__(self) -> None:
        self.versions: list[int] = []

    def embed(self, pixels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float16], dict[int, NDArray[np.float16]]]:
        innate = np.array([[*p.mean(axis=(0, 1)), 1] for p in pixels], dtype=np.float16).reshape(len(pixels), DIMS)
        return innate, {version: innate * 0 + np.float16(version) for version in self.versions}

    def add_tail(self, version: int, tail: nn.Module) -> None:
        self.versions.append(version)

    def keep_only(self, version: int) -> None:
        self.versions = [version]


def frame(seed: int, name: str | None = None, family: str = "disc") -> Frame:
    thumbnail = encode_thumbnail(draw(family, seed))
    origin = Origin(f"/in/{name or seed}.jpg", "in", datetime(2026, 1, 1, tzinfo=UTC), FileStat(10, seed))
    return Frame(f"{family}{seed:060d}", pixels_of(thumbnail), thumbnail, 96, 96, origin)


def rejected(name: str) -> Rejected:
    return Rejected("", "zero bytes", Origin(f"/in/{name}", "in", datetime(2026, 1, 1, tzinfo=UTC), FileStat(0, 1)))


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(64)


@pytest.fixture
def embedder() -> MeanColour:
    return MeanColour()


@pytest.fixture
def worker(inbox: Inbox, embedder: Any, store: Store, queries: Queries) -> EmbedWorker:
    return EmbedWorker(inbox, embedder, store, queries, batch=4)


def send(inbox: Inbox, *items: Frame | Rejected) -> list[Frame | Rejected]:
    for item in items:
        inbox.put(item, threading.Event())
    return inbox.take(len(items), timeout_s=1)


def test_a_batch_is_stored_and_acknowledged(worker: EmbedWorker, inbox: Inbox, queries: Queries) -> None:
    worker.see(send(inbox, frame(1), frame(2), frame(1, name="again"), rejected("empty.jpg")))
    assert inbox.depth == 0
    status = queries.status()
    assert (status.pictures, status.rejected) == (2, 1)
    stored = queries.pictures_after(0, 10)
    assert [picture.sha256 for picture in stored] == [frame(1).sha256, frame(2).sha256]
    assert len(queries.known(["/in/1.jpg", "/in/2.jpg", "/in/again.jpg", "/in/empty.jpg"])) == 4


def test_a_known_picture_is_not_embedded_again(worker: EmbedWorker, inbox: Inbox, queries: Queries) -> None:
    worker.see(send(inbox, frame(1)))
    worker.see(send(inbox, frame(1, name="moved")))
    assert queries.last_picture_id() == 1
    assert set(queries.present_uris("in")) == {"/in/1.jpg", "/in/moved.jpg"}


def test_who_only_takes_pictures_in_says_on_which_machine_they_lie_and_embeds_under_no_version(
    inbox: Inbox, embedder: Any, store: Store, queries: Queries
) -> None:
    worker = EmbedWorker(inbox, embedder, store, queries, batch=4, machine="gate")
    worker.see(send(inbox, frame(1), frame(1, name="again"), rejected("empty.jpg")))
    assert set(queries.present_uris("gate:in")) == {"gate:/in/1.jpg", "gate:/in/again.jpg", "gate:/in/empty.jpg"}
    version = store.begin_version("", {})
    store.publish_version(version)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    time.sleep(0.3)
    stop.set()
    thread.join(5)
    assert worker.behind


def test_what_another_machine_stored_is_embedded_under_the_ready_version(
    worker: EmbedWorker, inbox: Inbox, store: Store, queries: Queries, embedder: MeanColour
) -> None:
    version = store.begin_version("", {})
    store.publish_version(version)
    embedder.versions = [version]
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    innate_only: Any = MeanColour()
    gate = EmbedWorker(inbox_of_gate := Inbox(8), innate_only, store, queries, batch=4, machine="gate")
    gate.see(send(inbox_of_gate, *[frame(seed) for seed in range(6)]))
    deadline = time.monotonic() + 10
    while worker.behind and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join(5)
    assert len(queries.unembedded(version, range(1, 7))) == 0
    assert not worker.behind


def test_a_version_is_built_from_thumbnails_and_new_pictures_get_both(
    worker: EmbedWorker, inbox: Inbox, store: Store, queries: Queries, embedder: MeanColour
) -> None:
    worker.see(send(inbox, *[frame(seed) for seed in range(6)]))
    version = store.begin_version("", {})
    worker.build(version, nn.Identity(), np.arange(1, 7))
    assert worker.building
    with pytest.raises(RuntimeError, match="another encoder version"):
        worker.build(version + 1, nn.Identity(), np.arange(1, 7))
    worker.build_some()
    worker.see(send(inbox, frame(7)))
    while worker.building:
        worker.build_some()
    assert queries.ready_version() == version
    ids, _, learned = queries.embeddings(np.arange(1, 8), version)
    assert ids.tolist() == list(range(1, 8))
    assert learned is not None
    assert (learned == version).all()
    assert embedder.versions == [version]


def test_a_full_disk_delays_pictures_and_loses_none(
    worker: EmbedWorker, inbox: Inbox, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, failures = store.add, [OperationalError("INSERT", {}, Exception("disk is full"))] * 2

    def add(*arguments: Any, **named: Any) -> list[int]:
        if failures:
            raise failures.pop()
        return whole(*arguments, **named)

    monkeypatch.setattr(store, "add", add)
    monkeypatch.setattr("agent.patience.RETRY_S", (0.01,))
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    inbox.put(frame(1), stop)
    deadline = time.monotonic() + 10
    while inbox.depth and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    assert queries.status().pictures == 1
    assert not failures


def test_the_archive_is_embedded_under_the_new_version_while_nothing_arrives(
    inbox: Inbox, embedder: Any, store: Store, queries: Queries
) -> None:
    worker = EmbedWorker(inbox, embedder, store, queries, batch=4, archive_share=1.0)
    worker.see(send(inbox, *[frame(seed) for seed in range(9)]))
    version = store.begin_version("", {})
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    worker.build(version, nn.Identity(), np.array([8, 9]))
    deadline = time.monotonic() + 10
    while len(queries.unembedded(version, np.arange(1, 10))) and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    ids, _, learned = queries.embeddings(np.arange(1, 10), version)
    assert ids.tolist() == list(range(1, 10))
    assert learned is not None
    assert (learned == version).all()


def failing_once(monkeypatch: pytest.MonkeyPatch, store: Store, name: str, *, after: bool = False) -> None:
    """The next call of a method of the store fails, before or after its work is done."""
    whole, failures = getattr(store, name), [OperationalError("INSERT", {}, Exception("disk is full"))]

    def once(*arguments: Any) -> Any:
        done = whole(*arguments) if after or not failures else None
        if failures:
            raise failures.pop()
        return done

    monkeypatch.setattr(store, name, once)


@pytest.mark.parametrize(("method", "after"), [("add_embeddings", False), ("publish_version", True)])
def test_a_write_that_fails_while_a_version_is_built_is_done_again(
    worker: EmbedWorker,
    inbox: Inbox,
    store: Store,
    queries: Queries,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    after: bool,
) -> None:
    worker.see(send(inbox, *[frame(seed) for seed in range(6)]))
    version = store.begin_version("", {})
    failing_once(monkeypatch, store, method, after=after)
    worker.build(version, nn.Identity(), np.arange(1, 7))
    failures = 0
    while worker.building:
        try:
            worker.build_some()
        except OperationalError:
            failures += 1
    assert failures == 1
    assert queries.ready_version() == version
    assert len(queries.unembedded(version, np.arange(1, 7))) == 0


def test_what_is_stored_while_a_version_is_handed_over_gets_its_vector_too(
    worker: EmbedWorker, inbox: Inbox, store: Store, queries: Queries
) -> None:
    worker.see(send(inbox, *[frame(seed) for seed in range(6)]))
    version = store.begin_version("", {})
    worker.build(version, nn.Identity(), np.arange(1, 7))
    worker.see(send(inbox, frame(7), frame(8)))
    while worker.building:
        worker.build_some()
    assert len(queries.unembedded(version, np.arange(1, 9))) == 0
