"""Pictures that are sent: stored before they are answered, once however often they come, and refused in words."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image
from sqlalchemy import select

from agent.catalogue import StoreCatalogue
from agent.config import DecodeConfig, PushConfig
from agent.daemon import check_push
from agent.decode import DecodePool
from agent.embed_worker import EmbedWorker
from agent.errors import ConfigError
from agent.inbox import LIVE_ROOM, Inbox
from agent.sources.arriving import Arriving
from agent.sources.keeping import NoRoom
from agent.sources.push import PushSource
from agent.sources.push_label import read_label
from storage.queries import Queries
from storage.schema import rejections
from storage.store import Store
from tests.agent.sources.conftest import picture
from tests.cameras import free_port
from tests.readers import die_of_it
from tests.senders import Sender

TOKEN = "a-token-for-the-tests"
STOP_S = 2.0
CAPACITY = 4


class BlankEmbedder:
    """Embeds nothing."""

    image_px = 32

    def embed(self, pixels: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.float16], dict[int, Any]]:
        return np.zeros((len(pixels), 4), dtype=np.float16), {}


class Open:
    """An open door on the real store; `see` starts the thread that stores what comes in."""

    def __init__(self, home: Path, store: Store, queries: Queries, pool: DecodePool, **changes: Any) -> None:
        self.sender = Sender(free_port(), "yard", changes.get("token", ""))
        self.queries = queries
        self.folder = home / "pushed"
        self.stop = threading.Event()
        self.inbox = Inbox(CAPACITY)
        config = PushConfig.model_validate({"listen": str(self.sender.port), "kept": {"free_mb": 0}, **changes})
        catalogue = StoreCatalogue(store, queries)
        self.source = PushSource(config, catalogue, pool, self.inbox, self.folder)
        self._seeing = EmbedWorker(self.inbox, BlankEmbedder(), store, queries, batch=4)  # type: ignore[arg-type]
        self._threads = [self._begin(self.source.run)]
        self.sender.wait()

    def see(self) -> None:
        self._threads.append(self._begin(self._seeing.run))

    def _begin(self, run: Callable[[threading.Event], None]) -> threading.Thread:
        thread = threading.Thread(target=run, args=(self.stop,), daemon=True)
        thread.start()
        return thread

    def end(self) -> float:
        """Stop; how long that took."""
        began = time.monotonic()
        self.stop.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        return time.monotonic() - began

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def rejected(self) -> dict[str, str]:
        """Reasons by file name."""
        with self.queries._engine.connect() as connection:
            rows = connection.execute(select(rejections.c.uri, rejections.c.reason)).all()
        return {Path(row.uri).name: row.reason for row in rows}


Make = Callable[..., Open]


@pytest.fixture
def door(tmp_path: Path, store: Store, queries: Queries, pool: DecodePool) -> Iterator[Make]:
    made: list[Open] = []

    def make(*, seeing: bool = True, **changes: Any) -> Open:
        made.append(Open(tmp_path, store, queries, pool, **changes))
        if seeing:
            made[-1].see()
        return made[-1]

    yield make
    for one in made:
        one.end()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -------------------------------------------------------------------------- what is stored


def test_a_picture_is_stored_before_it_is_answered_with_what_its_sender_says_of_it(door: Make) -> None:
    one, data = door(), picture(1)
    said = {"X_Taxon_Captured_At": "2026-11-25T10:30:12.5+01:00", "X_Taxon_Name": "gate.7"}
    answer = one.sender.send(data, **said)
    (row,) = one.queries.pictures()
    assert (answer.status_code, answer.json()) == (201, {"sha256": sha(data), "id": 1})
    assert (row.sha256, row.source) == (sha(data), "yard")
    assert row.captured_at == datetime(2026, 11, 25, 9, 30, 12, 500_000, UTC)
    assert row.uri == str(one.folder / sha(data)[:2] / f"{sha(data)}-gate.7")
    assert Path(row.uri).read_bytes() == data
    assert one.files() == [Path(row.uri)]


def test_what_its_sender_says_of_its_time_counts_more_than_what_is_written_in_it(door: Make) -> None:
    one, exif = door(), Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2020:01:02 03:04:05", ExifTags.Base.OffsetTimeOriginal: "+00:00"}
    )
    dated = [BytesIO(), BytesIO()]
    for number, buffer in enumerate(dated):
        Image.new("RGB", (40 + number, 40)).save(buffer, "JPEG", exif=exif)
    assert one.sender.send(dated[0].getvalue()).status_code == 201
    assert one.sender.send(dated[1].getvalue(), X_Taxon_Captured_At="2026-11-25T09:30:12Z").status_code == 201
    taken = [row.captured_at for row in one.queries.pictures()]
    assert taken == [datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 11, 25, 9, 30, 12, tzinfo=UTC)]


def test_a_label_may_be_as_long_as_is_said(door: Make) -> None:
    one, source, name = door(), "a" * 64, "b" * 100
    assert one.sender.send(picture(1), X_Taxon_Source=source, X_Taxon_Name=name).status_code == 201
    assert set(one.queries.present_uris(source)) == {str(one.files()[0])}
    assert one.files()[0].name.endswith(f"-{name}")


def test_without_a_label_it_comes_from_push_when_it_arrived(door: Make) -> None:
    one, data, began = door(), picture(1), datetime.now(UTC)
    assert httpx.post(f"{one.sender.url}/ingest", content=data, trust_env=False).status_code == 201
    (row,) = one.queries.pictures()
    assert row.source == "push"
    assert row.captured_at is not None
    assert abs((row.captured_at - began).total_seconds()) < 30
    assert row.uri is not None
    assert row.uri.endswith(f"{sha(data)}.jpeg")


def test_the_same_picture_twice_is_one_picture_and_one_file(door: Make) -> None:
    one, data = door(), picture(1)
    answers = [one.sender.send(data, X_Taxon_Name=name) for name in ("a.jpg", "b.jpg")]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert (len(list(one.queries.pictures())), len(one.files())) == (1, 1)


def test_equal_pictures_at_once_are_one_picture_and_one_file(door: Make) -> None:
    one, data = door(), picture(1)
    with ThreadPoolExecutor(8) as threads:
        codes = [answer.status_code for answer in threads.map(lambda _: one.sender.send(data), range(8))]
    assert sorted(codes) == [200] * 7 + [201]
    assert (len(list(one.queries.pictures())), len(one.files())) == (1, 1)


def test_what_is_stored_from_elsewhere_is_kept_all_the_same_since_its_sender_may_delete_it(door: Make) -> None:
    one, data = door(), picture(1)
    one.sender.send(data)
    (before,) = one.files()
    before.unlink()
    assert one.sender.send(data).status_code == 200
    assert one.files() == [before]


def test_pieces_without_a_length_are_a_picture(door: Make) -> None:
    one, data = door(), picture(1)
    pieces = iter([data[:100], data[100:101], data[101:]])
    answer = httpx.post(f"{one.sender.url}/ingest", content=pieces, trust_env=False)
    assert (answer.status_code, answer.json()["sha256"]) == (201, sha(data))


# -------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", 415), (b"no picture at all", 415), (picture(3)[:500], 422)],
    ids=["empty", "text", "torn"],
)
def test_what_is_no_picture_is_a_recorded_fact(door: Make, sent: bytes, status: int) -> None:
    one = door()
    answer = one.sender.send(sent, X_Taxon_Name="odd")
    assert (answer.status_code, answer.json()["sha256"]) == (status, sha(sent))
    assert one.rejected() == {f"{sha(sent)}-odd": answer.json()["error"]}
    assert not list(one.queries.pictures())


@pytest.mark.parametrize("as_pieces", [False, True])
def test_what_is_too_large_is_refused_while_it_is_read_and_leaves_nothing(door: Make, as_pieces: bool) -> None:
    one = door(max_mb=1)
    data = bytes(3 << 20)
    content: Any = (data[start : start + 65_536] for start in range(0, len(data), 65_536)) if as_pieces else data
    answer = httpx.post(f"{one.sender.url}/ingest", content=content, trust_env=False)
    assert (answer.status_code, "push.max_mb" in answer.json()["error"]) == (413, True)
    assert not one.files()


def test_who_does_not_know_the_token_is_refused(door: Make) -> None:
    one = door(token=TOKEN)
    strangers = [Sender(one.sender.port, token=token) for token in ("", "another-token-altogether", TOKEN[:-1])]
    assert [stranger.send(picture(1)).status_code for stranger in strangers] == [401] * 3
    assert one.sender.send(picture(1)).status_code == 201
    one.end()
    assert one.source.counts == {"unauthorised": 3, "stored": 1}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("X-Taxon-Source", "../etc"), ("X-Taxon-Source", ""), ("X-Taxon-Source", "a" * 65),
        ("X-Taxon-Name", "a/b"), ("X-Taxon-Name", ".hidden"), ("X-Taxon-Name", "a" * 101), ("X-Taxon-Name", "a\n"),
        ("X-Taxon-Captured-At", "monday"), ("X-Taxon-Captured-At", "2026-11-24T09:30:12"),
        ("X-Taxon-Captured-At", "0001-01-01T00:00:00+14:00"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_refused_in_words_that_do_not_repeat_it(header: str, text: str) -> None:
    with pytest.raises(ValueError, match=header) as error:
        read_label({header: text})
    assert not text or text not in str(error.value)


def test_a_wrong_header_is_answered_and_writes_nothing(door: Make) -> None:
    one = door()
    assert one.sender.send(picture(1), X_Taxon_Name="../../x").status_code == 400
    assert not one.files()


def test_a_form_is_told_how_pictures_are_sent_and_is_no_picture_that_was_broken(door: Make) -> None:
    one = door()
    answer = httpx.post(f"{one.sender.url}/ingest", files={"file": ("7.jpg", picture(1))}, trust_env=False)
    assert (answer.status_code, "--data-binary" in answer.json()["error"]) == (400, True)
    assert not one.files()
    assert not one.rejected()


def test_a_page_in_a_browser_may_not_send(door: Make) -> None:
    assert door().sender.send(picture(1), Origin="http://example.org").status_code == 403


def test_a_picture_that_people_had_forgotten_stays_out(door: Make, store: Store) -> None:
    one, data = door(), picture(1)
    one.sender.send(data)
    store.forget([sha(data)], "ada")
    one.files()[0].unlink()
    assert one.sender.send(data).status_code == 410
    assert not one.files()


def test_a_request_that_fails_is_told_so_and_the_next_one_is_taken(door: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = door()
    with monkeypatch.context() as patched:
        patched.setattr(one.queries, "existing", lambda shas: 1 // 0)
        answer = one.sender.send(picture(1))
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert one.sender.send(picture(1)).status_code == 201


def test_a_full_disk_is_said(door: Make, tmp_path: Path) -> None:
    one = door(kept={"free_mb": 1 << 40})
    answer = one.sender.send(picture(1))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    assert not one.files()
    with pytest.raises(NoRoom, match="push.kept.free_mb"):
        Arriving(tmp_path, 1, 1 << 60)


# -------------------------------------------------------------------------- time and memory


def test_an_agent_that_is_behind_asks_to_be_tried_again_and_loses_nothing(door: Make) -> None:
    one = door(seeing=False, wait_s=0.2)
    pictures = [picture(seed) for seed in range(CAPACITY + LIVE_ROOM + 2)]
    answers = [one.sender.send(data) for data in pictures]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in answers} == {(503, "2")}
    assert one.inbox.depth == CAPACITY + LIVE_ROOM
    one.see()
    assert one.inbox.join(one.stop, 30)
    again = [one.sender.send(data).status_code for data in pictures]
    assert again == [200] * (CAPACITY + LIVE_ROOM) + [201] * 2
    assert (len(list(one.queries.pictures())), len(one.files())) == (len(pictures), len(pictures))


def test_more_requests_than_are_taken_at_once_are_told_to_come_again(door: Make, until: Callable[..., bool]) -> None:
    one = door(seeing=False, at_once=1)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(one.sender.send, picture(1))
        assert until(lambda: one.inbox.depth == 1)
        second = one.sender.send(picture(2))
        assert (second.status_code, "Retry-After" in second.headers) == (503, True)
        one.see()
        assert first.result().status_code == 201


def test_a_sender_that_dawdles_is_given_up(door: Make) -> None:
    one = door(read_s=0.3)
    head = b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", one.sender.port)) as slow:
        slow.sendall(head + b"a")
        slow.settimeout(10)
        assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert not one.files()


def test_who_says_nothing_or_never_ends_to_say_what_it_wants_is_hung_up_on(
    door: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.push.HEAD_S", 0.3)
    one = door()
    for said in (b"", b"POST /ingest HTTP/1.1\r\nHost:"):
        with socket.create_connection(("127.0.0.1", one.sender.port)) as mute:
            mute.sendall(said)
            mute.settimeout(10)
            assert mute.recv(100) == b""


def test_of_more_connections_than_there_is_room_for_each_is_told_to_come_again(
    door: Make, monkeypatch: pytest.MonkeyPatch, until: Callable[..., bool]
) -> None:
    monkeypatch.setattr("agent.sources.push.BACKLOG", 4)
    one = door(at_once=1)  # with 4 for each of these
    with ExitStack() as held:
        mute = [socket.create_connection(("127.0.0.1", one.sender.port)) for _ in range(20)]
        for connection in mute:
            held.enter_context(connection).settimeout(5)
        assert b"503 Service Unavailable\r\nRetry-After: 2" in mute[-1].recv(100)
        mute[0].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in mute[0].recv(100)
    assert until(lambda: one.sender.send(picture(1)).status_code == 201)


@pytest.mark.parametrize("path", ["/ingest/", "//ingest", "/../ingest"])
def test_no_other_address_leads_anywhere(door: Make, path: str) -> None:
    one = door()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", one.sender.port)) as sender:
        sender.sendall(head.encode())
        assert sender.recv(100).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("path", ["/health", "/nowhere"])
def test_a_connection_is_for_one_request(door: Make, path: str) -> None:
    assert httpx.get(door().sender.url + path, trust_env=False).headers["Connection"] == "close"


def test_a_sender_that_hangs_up_leaves_nothing(door: Make, until: Callable[..., bool]) -> None:
    one = door()
    with socket.create_connection(("127.0.0.1", one.sender.port)) as gone:
        gone.sendall(b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        assert until(lambda: len(one.files()) == 1)
    assert until(lambda: not one.files() and one.source.counts.get("broken_off") == 1)


def test_it_stops_in_time_and_answers_what_it_has_in_hand(door: Make, until: Callable[..., bool]) -> None:
    one = door(seeing=False)
    idle = socket.create_connection(("127.0.0.1", one.sender.port))
    slow = socket.create_connection(("127.0.0.1", one.sender.port))
    slow.sendall(b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    with ThreadPoolExecutor(1) as threads, idle, slow:
        waiting = threads.submit(one.sender.send, picture(1))
        assert until(lambda: one.inbox.depth == 1)
        assert one.end() < STOP_S
        assert waiting.result(5).status_code == 503
        slow.settimeout(5)
        assert slow.recv(100).startswith(b"HTTP/1.1 503")


# -------------------------------------------------------------------------- its files and its port


def test_what_a_killed_agent_left_and_never_stored_goes_and_what_it_stored_stays(door: Make) -> None:
    one, data = door(), picture(1)
    one.sender.send(data)
    one.end()
    (kept,) = one.files()
    torn, whole = one.folder / "arriving" / ".1.part", one.folder / "00" / f"{'0' * 64}.jpeg"
    for path in (torn, whole):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    another = door()
    assert another.files() == [kept]
    assert another.sender.send(data).status_code == 200


def test_a_picture_that_its_sender_calls_a_part_stays_and_goes_when_its_time_has_come(door: Make) -> None:
    one = door()
    assert one.sender.send(picture(1), X_Taxon_Name="7.jpg.part").status_code == 201
    one.end()
    (kept,) = one.files()
    another = door(kept={"free_mb": 0, "days": 1})
    assert another.files() == [kept]
    another.source._wall = lambda: time.time() + 2 * 86_400
    another.source.tidy()
    assert not another.files()


def test_a_file_that_was_deleted_by_hand_is_missing(door: Make, store: Store) -> None:
    one = door()
    for seed in range(3):
        assert one.sender.send(picture(seed)).status_code == 201
    first, second, third = one.files()
    first.unlink()
    one.source.mark_lost()
    assert set(one.queries.present_uris("yard")) == {str(second), str(third)}
    one.end()
    second.unlink()
    another = door()
    assert set(another.queries.present_uris("yard")) == {str(third)}
    third.unlink()
    another.source.mark_lost()
    assert set(another.queries.present_uris("yard")) == {str(third)}, "all at once is rather a disk that is away"


def test_old_files_go_and_their_pictures_stay(door: Make) -> None:
    one = door(kept={"free_mb": 0, "days": 1})
    one.sender.send(picture(1))
    one.source._wall = lambda: time.time() + 2 * 86_400
    one.source.tidy()
    assert not one.files()
    assert len(list(one.queries.pictures())) == 1
    assert not list(one.queries.present_uris("yard"))


def test_a_port_that_is_taken_is_tried_again(tmp_path: Path, store: Store, queries: Queries, pool: DecodePool) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port, stop = taken.getsockname()[1], threading.Event()
    config = PushConfig(listen=f"127.0.0.1:{port}")
    source = PushSource(config, StoreCatalogue(store, queries), pool, Inbox(4), tmp_path / "pushed")
    source._backoff._least_s = source._backoff._most_s = 0.1
    thread = threading.Thread(target=source.run, args=(stop,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while "in use" not in source.detail:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert source.health == "offline"
    taken.close()
    Sender(port).wait()
    stop.set()
    thread.join(STOP_S)
    assert not thread.is_alive()


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.0.2.7:8080", "taxon.example:8080"])
def test_other_machines_need_a_token(listen: str) -> None:
    with pytest.raises(ConfigError, match="TAXON_PUSH__TOKEN"):
        check_push(PushConfig(listen=listen), once=False)
    check_push(PushConfig.model_validate({"listen": listen, "token": TOKEN}), once=False)


@pytest.mark.parametrize("listen", ["8080", "127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_this_machine_needs_none_and_once_is_refused(listen: str) -> None:
    check_push(PushConfig(listen=listen), once=False)
    with pytest.raises(ConfigError, match="never ends"):
        check_push(PushConfig(listen=listen), once=True)


def test_a_hostile_picture_costs_only_itself(
    tmp_path: Path, store: Store, queries: Queries, until: Callable[..., bool]
) -> None:
    pool = DecodePool(DecodeConfig(workers=1, timeout_s=20), read=die_of_it)
    one = Open(tmp_path, store, queries, pool)
    one.see()
    try:
        assert one.sender.send(b"\xff\xd8\xff deadly").status_code == 422
        assert len(one.rejected()) == 1
        assert httpx.get(f"{one.sender.url}/health", trust_env=False).status_code == 200
    finally:
        one.end()
        pool.close()
