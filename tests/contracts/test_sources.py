"""What every source owes the agent, proven on each: order, exactly once, an end in time, bounded memory, isolation.

They are run against the real store and the real seeing thread; only the network is missing.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.address import parse
from agent.catalogue import StoreCatalogue
from agent.config import CameraConfig, DecodeConfig, FolderConfig, PushConfig
from agent.decode import DecodePool
from agent.embed_worker import EmbedWorker
from agent.frame import Frame
from agent.inbox import LIVE_ROOM, Inbox
from agent.sources.camera import CameraSource
from agent.sources.folder import FolderSource
from agent.sources.outages import Outages
from agent.sources.protocol import Catalogue, Source
from agent.sources.push import PushSource
from storage.queries import Queries
from storage.rows import PictureRow
from storage.store import Store
from tests.cameras import DATASETS, RtspServer, Server, free_port, jpegs, mjpeg, silent, still, why_no_rtsp
from tests.films import write_film
from tests.readers import HOSTILE, read_or_hang
from tests.senders import Sender

SLOW_S = 90.0
STOP_S = 2.0
CAPACITY = 8
BATCH = 2
PICTURES = 60
FPS = 10
IN_FLIGHT = 24
"""Frames that a source may hold besides those in the inbox: what its workers have in hand, and one batch."""

CAMERA: dict[str, Any] = {
    "fps": 30,
    "open_timeout_s": 2,
    "read_timeout_s": 2,
    "backoff_s": 0.1,
    "backoff_max_s": 0.5,
    "kept": {"free_mb": 0},
    "gates": {"frozen": False, "blank": 0, "motion_area": 0, "near_bits": 0, "per_minute": 0},
    "snapshot": {"every_s": 0.1},
}

LOSSLESS = ("folder", "film")
LOSSY = ("stream", "rtsp", "still")
PUSHED = ("push", "crowd")
"""One sender that waits for its answers, and many at once."""
ORDERED = (*LOSSLESS, "arriving", *LOSSY, "push")
"""`arriving`: files that are moved in one after the other, with native events."""
FULL = (*LOSSLESS, *LOSSY, "crowd")
"""Those that can fill an inbox."""

FILM = DATASETS / "video" / "car-detection.mp4"

LEARNER_S = {"folder": 0.03, "film": 0.03, "stream": 0.3, "rtsp": 1.0, "still": 1.0, "crowd": 0.3}
"""A tenth of the speed at which each source yields, roughly: so long a picture."""

ENOUGH = 12
CROWD = 12


def some(*kinds: str, slow: Sequence[str] = ()) -> list[Any]:
    """For `parametrize`; a real RTSP server takes its time in any case."""
    return [pytest.param(kind, marks=pytest.mark.slow) if kind in ("rtsp", *slow) else kind for kind in kinds]


class BlankEmbedder:
    """Embeds nothing, as slowly as it is told."""

    image_px = 32

    def __init__(self) -> None:
        self.picture_s = 0.0

    def embed(self, pixels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float16], dict[int, Any]]:
        time.sleep(self.picture_s * len(pixels))
        return np.zeros((len(pixels), 4), dtype=np.float16), {}


class Broken:
    """A catalogue that answers nobody."""

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        raise OSError("the disk is on fire")

    def present_uris(self, source: str) -> Iterator[str]:
        raise OSError("the disk is on fire")

    def mark_missing(self, uris: Sequence[str]) -> None:
        raise OSError("the disk is on fire")


class Agent:
    """Sources of all kinds into one inbox, and the thread that stores what they yield."""

    def __init__(self, home: Path, store: Store, queries: Queries, pool: DecodePool, rest: ExitStack) -> None:
        self.queries = queries
        self.inbox = Inbox(CAPACITY)
        self.outages = Outages()
        self.embedder = BlankEmbedder()
        self.stop = threading.Event()
        self.names: list[str] = []
        self.home = home
        self._catalogue = StoreCatalogue(store, queries)
        self._pool = pool
        self._rest = rest
        self._seeing = EmbedWorker(self.inbox, self.embedder, store, queries, batch=BATCH)  # type: ignore[arg-type]
        self._threads: list[threading.Thread] = []

    def see(self) -> None:
        self.begin(self._seeing.run)

    def begin(self, run: Callable[[threading.Event], None]) -> threading.Thread:
        thread = threading.Thread(target=run, args=(self.stop,), daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def end(self) -> float:
        """Stop everything; how long that took."""
        began = time.monotonic()
        self.stop.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        return time.monotonic() - began

    # ---------------------------------------------------------------- sources

    def good(self, kind: str) -> Source:
        """A source of `PICTURES` different pictures, or of pictures without end."""
        if kind == "folder":
            folder = self.home / "good"
            folder.mkdir(exist_ok=True)
            for number, jpeg in enumerate(jpegs(PICTURES)):
                path = folder / f"{number * 37 % 100:03}.jpg"
                path.write_bytes(jpeg)
                os.utime(path, (1e9 + number, 1e9 + number))
            return self.folder(folder, "good")
        if kind == "arriving":
            folder = self.home / "good"
            folder.mkdir()
            self.begin(partial(move_in, folder, jpegs(PICTURES)))
            return self.folder(folder, "good", observer="native")
        if kind == "film":
            film = self.home / "film.mp4"
            return self.camera(f"good={film if film.exists() else write_film(film, PICTURES / FPS)}")
        if kind in PUSHED:
            return self.push(1 if kind == "push" else CROWD)
        if kind == "stream":
            server = self._rest.enter_context(Server(mjpeg(jpegs(PICTURES), fps=30)))
            return self.camera(f"good=http://{server.host}/video")
        if kind == "rtsp":
            return self.camera(f"good={self.real_server().url}")
        server = self._rest.enter_context(Server(still(jpegs(PICTURES))))
        return self.camera(f"good=http://{server.host}/still.jpg", still=True)

    def real_server(self) -> RtspServer:
        reason = why_no_rtsp(FILM)
        if reason:
            pytest.skip(reason)
        server = RtspServer(FILM)
        self._rest.callback(server.kill)
        server.start()
        return server

    def bad(self) -> list[Source]:
        """One of each kind, each wrong in a way of its own."""
        hostile = self.home / "hostile"
        hostile.mkdir()
        for number in range(20):
            (hostile / f"{number}.jpg").write_bytes(random.Random(number).randbytes(2_000))
        noise = self.home / "noise.mp4"
        noise.write_bytes(random.Random(0).randbytes(50_000))
        server = self._rest.enter_context(Server(silent))
        return [
            self.folder(self.home / "gone", "gone"),
            self.folder(hostile, "hostile"),
            self.folder(hostile, "throws", catalogue=Broken()),
            self.camera(f"noise={noise}"),
            self.camera(f"mute=rtsp://{server.host}/1"),
            self.camera(f"away=rtsp://127.0.0.1:{free_port()}/1"),
            self.camera(f"mute-still=http://{server.host}/1.jpg", still=True),
            self.door(int(server.host.rpartition(":")[2])),
        ]

    def folder(
        self,
        root: Path,
        name: str,
        observer: Literal["native", "polling"] = "polling",
        catalogue: Catalogue | None = None,
    ) -> Source:
        config = FolderConfig(settle_s=0.05, poll_s=0.5, observer=observer)
        books = catalogue or self._catalogue
        return FolderSource(root, name, config, books, self._pool, self.inbox, note=self.outages.note)

    def camera(self, camera: str, *, still: bool = False) -> Source:
        address = parse(camera, still=still)
        config = CameraConfig.model_validate(CAMERA)
        folder = self.home / "frames" / address.name
        return CameraSource(
            address, config, DecodeConfig(), self._catalogue, self._pool, self.inbox, folder,
            note=self.outages.note, rng=random.Random(0),
        )  # fmt: skip

    def push(self, senders: int) -> Source:
        """A door, and who sends through it: one all pictures, or each of many some."""
        port, pictures = free_port(), jpegs(PICTURES)
        for number in range(senders):
            self.begin(partial(Sender(port).send_all, pictures[number::senders]))
        return self.door(port)

    def door(self, port: int) -> Source:
        config = PushConfig.model_validate({"listen": str(port), "wait_s": 1, "kept": {"free_mb": 0}})
        return PushSource(config, self._catalogue, self._pool, self.inbox, self.home / "pushed", rng=random.Random(0))

    # ---------------------------------------------------------------- what came of it

    def stored(self, source: str = "good") -> list[PictureRow]:
        """Pictures of a source in the order in which they were stored."""
        return [row for row in self.queries.pictures() if row.source == source]

    def wait_for(self, true: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + SLOW_S
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def move_in(folder: Path, pictures: Sequence[bytes], stop: threading.Event) -> None:
    """One file after the other, each whole at once and a second older than the next."""
    for number, jpeg in enumerate(pictures):
        path = folder / f".{number}.tmp"
        path.write_bytes(jpeg)
        os.utime(path, (1e9 + number, 1e9 + number))
        path.rename(folder / f"{number * 37 % 100:03}.jpg")
        if stop.wait(0.02):
            return


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=20))
    yield pool
    pool.close()


@pytest.fixture
def agent(tmp_path: Path, store: Store, queries: Queries, pool: DecodePool) -> Iterator[Agent]:
    with ExitStack() as rest:
        agent = Agent(tmp_path, store, queries, pool, rest)
        yield agent
        agent.end()


def living_frames() -> int:
    return sum(type(thing) is Frame for thing in gc.get_objects())


@pytest.mark.parametrize("kind", LOSSLESS)
def test_all_of_what_ends_is_stored_in_order_and_once_however_often_it_is_read(agent: Agent, kind: str) -> None:
    agent.see()
    agent.good(kind).drain(agent.stop)
    first = agent.stored()
    assert len(first) == PICTURES
    times = [row.captured_at for row in first]
    assert times == sorted(set(times))
    agent.good(kind).drain(agent.stop)
    assert [(row.sha256, row.uri) for row in agent.stored()] == [(row.sha256, row.uri) for row in first]
    assert len(list(agent.queries.present_uris("good"))) == PICTURES


@pytest.mark.parametrize("kind", some(*ORDERED))
def test_what_comes_is_stored_in_order_and_once(agent: Agent, kind: str) -> None:
    agent.see()
    agent.begin(agent.good(kind).run)
    assert agent.wait_for(lambda: len(agent.stored()) >= 20)
    agent.end()
    rows = agent.stored()
    times = [row.captured_at for row in rows]
    assert times == sorted(set(times))
    uris = list(agent.queries.present_uris("good"))
    assert len(uris) == len(set(uris)) >= len(rows)


@pytest.mark.parametrize("kind", some(*PUSHED, slow=["push"]))
def test_each_picture_that_was_to_be_sent_again_is_stored_once(agent: Agent, kind: str) -> None:
    source = agent.good(kind)
    agent.begin(source.run)  # nobody sees, so senders are told to come again
    assert agent.wait_for(lambda: source.counts.get("busy", 0) >= 3)
    agent.see()
    assert agent.wait_for(lambda: len(agent.stored()) == PICTURES)
    agent.end()
    sent = sorted(sha256(jpeg).hexdigest() for jpeg in jpegs(PICTURES))
    assert sorted(row.sha256 for row in agent.stored()) == sent
    assert agent.queries.last_picture_id() == PICTURES
    assert len(list(agent.queries.present_uris("good"))) == PICTURES


@pytest.mark.parametrize("kind", some(*LOSSY, slow=["still"]))
def test_each_picture_that_a_camera_kept_is_stored_once_though_others_were_dropped(agent: Agent, kind: str) -> None:
    source = agent.good(kind)
    agent.begin(source.run)
    assert agent.wait_for(lambda: source.counts.get("busy", 0) >= 3)
    agent.see()
    assert agent.wait_for(lambda: source.counts["kept"] >= 3 * CAPACITY)
    agent.end()
    uris = list(agent.queries.present_uris("good"))
    assert len(uris) == len(set(uris))
    on_their_way = source.counts["kept"] - len(uris)
    assert 0 <= on_their_way <= CAPACITY + LIVE_ROOM + 1
    of = {row.uri: row.sha256 for row in agent.queries.export_rows()}
    assert [sha256(Path(uri).read_bytes()).hexdigest() for uri in uris] == [of[uri] for uri in uris]


@pytest.mark.parametrize("kind", some(*FULL, "arriving"))
def test_a_source_stops_in_time_while_it_works_and_while_nobody_takes_what_it_yields(agent: Agent, kind: str) -> None:
    agent.begin(agent.good(kind).run)  # nobody sees
    assert agent.wait_for(lambda: agent.inbox.depth >= CAPACITY)
    assert agent.end() < STOP_S


@pytest.mark.parametrize("kind", some(*FULL, slow=["still"]))
def test_a_source_ten_times_faster_than_the_learner_fills_no_memory(agent: Agent, kind: str) -> None:
    agent.embedder.picture_s = LEARNER_S[kind]
    before, most = living_frames(), 0
    agent.see()
    source = agent.good(kind)
    thread = agent.begin(source.drain if kind in LOSSLESS else source.run)
    enough = PICTURES if kind in LOSSLESS else ENOUGH
    deadline = time.monotonic() + SLOW_S
    while (stored := len(agent.stored())) < enough:
        assert time.monotonic() < deadline, f"{stored} stored"
        assert agent.inbox.depth <= CAPACITY + LIVE_ROOM
        most = max(most, living_frames() - before)
        time.sleep(0.1)
    assert most <= CAPACITY + IN_FLIGHT
    if kind in LOSSLESS:
        thread.join(SLOW_S)
        assert len(agent.stored()) == PICTURES
    else:
        assert source.counts["busy"] > 0


@pytest.mark.parametrize("kind", some("film", *LOSSY, "crowd"))
def test_a_backlog_of_files_leaves_room_for_a_camera(agent: Agent, kind: str) -> None:
    backlog = agent.home / "backlog"
    backlog.mkdir()
    for number, jpeg in enumerate(jpegs(PICTURES, 80, 60)):
        (backlog / f"{number:03}.jpg").write_bytes(jpeg)
    agent.begin(agent.good(kind).run)
    agent.begin(agent.folder(backlog, "backlog").run)
    assert agent.wait_for(lambda: agent.inbox.depth == CAPACITY + LIVE_ROOM)
    agent.embedder.picture_s = 0.05
    agent.see()
    assert agent.wait_for(lambda: len(agent.stored("backlog")) >= PICTURES // 2)
    assert len(agent.stored()) >= 5


@pytest.mark.parametrize("kind", some(*ORDERED, slow=[kind for kind in ORDERED if kind not in ("folder", "stream")]))
def test_bad_sources_stop_no_other(agent: Agent, kind: str) -> None:
    agent.see()
    bad = agent.bad()
    for source in bad:
        agent.begin(source.run)
    told: set[object] = set()

    def all_are_told() -> bool:
        told.update(event.detail["source"] for event in agent.outages.take())
        return told >= {"gone", "mute", "away", "mute-still"}

    assert agent.wait_for(all_are_told)
    agent.begin(agent.good(kind).run)
    assert agent.wait_for(lambda: len(agent.stored()) >= 20)
    working = [source.name for source in bad if source.health != "offline"]
    assert working in (["hostile", "throws"], ["hostile", "throws", "noise"])
    (throws,) = (source for source in bad if source.name == "throws")
    assert (throws.health, "the disk is on fire" in throws.detail) == ("degraded", True)


@pytest.mark.slow
def test_a_folder_of_files_that_hang_costs_the_others_next_to_nothing(
    tmp_path: Path, store: Store, queries: Queries
) -> None:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=1), read_or_hang)
    with ExitStack() as rest:
        rest.callback(pool.close)
        agent = Agent(tmp_path, store, queries, pool, rest)
        rest.callback(agent.end)
        agent.see()
        hostile = tmp_path / HOSTILE
        hostile.mkdir()
        for number in range(50):
            (hostile / f"{number}.jpg").write_bytes(jpegs(1)[0] + bytes([number]))
        agent.begin(agent.folder(hostile, HOSTILE).run)
        assert agent.wait_for(lambda: queries.status().rejected >= 2)
        before = queries.status().rejected
        port = free_port()
        agent.begin(agent.good("folder").run)
        agent.begin(agent.door(port).run)
        agent.begin(partial(Sender(port, "yard").send_all, jpegs(ENOUGH, 80, 60)))
        assert agent.wait_for(lambda: (len(agent.stored()), len(agent.stored("yard"))) == (PICTURES, ENOUGH))
        assert queries.status().rejected < before + 20
