"""Stills by HTTP: what is asked, what is believed, and when a camera counts as away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from gzip import compress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import islice
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from agent.address import parse
from agent.config import DecodeConfig, SnapshotConfig
from agent.decode import Undecodable, decode_image
from agent.sources.feed import FeedError, Shot
from agent.sources.snapshot import SnapshotFeed
from tests.agent.sources.watched import SLOW_S, Watched
from tests.cameras import Server, jpegs, silent

JPEG, OTHER = jpegs(40)[0::39]


class StillServer:
    """Answers every GET by a function of the request; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, str]], tuple[int, dict[str, str], bytes]]
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(dict(self.headers.items()))
                status, headers, body = outer.answer(outer.asked[-1])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[StillServer]:
    server = StillServer()
    server.answer = lambda headers: (200, {}, JPEG)
    yield server
    server.close()


def feed(host: str, login: str = "", max_pixels: int = 10_000_000, **changes: object) -> SnapshotFeed:
    config = SnapshotConfig.model_validate({"every_s": 0.1, "timeout_s": 5, **changes})
    address = parse(f"a=http://{login}{host}/still.jpg", still=True)
    return SnapshotFeed(address, config, DecodeConfig(max_pixels=max_pixels), sleep=lambda seconds: None)


def some(feed: SnapshotFeed, count: int) -> list[Shot | None]:
    return list(islice(feed.shots(), count))


def test_what_has_not_changed_is_not_sent_again(server: StillServer) -> None:
    tags = iter(['"1"', '"1"', '"2"', '"2"'])

    def answer(headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        tag = next(tags)
        if headers.get("If-None-Match") == tag:
            return 304, {}, b""
        return 200, {"ETag": tag}, JPEG if tag == '"1"' else OTHER

    server.answer = answer
    one = feed(server.host)
    shots = some(one, 4)
    assert [shot is None for shot in shots] == [False, True, False, True]
    assert one.counts == {"unchanged": 2}
    assert shots[0] is not None
    assert shots[0].pixels_HWC().shape == (120, 160, 3)
    assert shots[0].grey_HW(80).shape == (60, 80)


def test_last_modified_serves_as_well(server: StillServer) -> None:
    day = "Wed, 25 Nov 2026 09:00:00 GMT"
    server.answer = lambda headers: (
        (304, {}, b"") if "If-Modified-Since" in headers else (200, {"Last-Modified": day}, JPEG)
    )
    assert [shot is None for shot in some(feed(server.host), 2)] == [False, True]
    assert server.asked[1]["If-Modified-Since"] == day


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"", "it answers 404"),
        (200, bytes(2 << 20), "larger than camera.snapshot.max_mb"),
        (200, b"no picture", "what it answers is no picture"),
        (200, JPEG[: len(JPEG) // 2], "what it answers is no picture"),
        (401, b"", "another user or password"),
    ],
)
def test_a_wrong_answer_is_named(server: StillServer, status: int, body: bytes, reason: str) -> None:
    server.answer = lambda headers: (status, {}, body)
    with pytest.raises(FeedError, match=reason) as caught:
        some(feed(server.host, "me:secret@", max_mb=1), 1)
    assert "secret" not in str(caught.value)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def shown(server: StillServer, body: bytes) -> NDArray[np.uint8]:
    server.answer = lambda headers: (200, {}, body)
    (shot,) = some(feed(server.host), 1)
    assert shot is not None
    return shot.pixels_HWC()


def test_a_still_is_decoded_as_a_file_is(server: StillServer) -> None:
    warm_HW = np.linspace(29_000, 31_000, 64 * 64).reshape(64, 64).astype(np.uint16)
    thermal = shown(server, encoded(Image.fromarray(warm_HW)))
    assert (thermal.min(), thermal.max()) == (0, 255)
    assert len(np.unique(thermal)) > 200, "not all of it is white"

    hidden = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    hidden.paste((0, 0, 255, 255), (0, 0, 20, 40))
    see_through = shown(server, encoded(hidden))
    assert see_through[20, 10].tolist() == [0, 0, 255]
    assert see_through[20, 30].tolist() == [255, 255, 255]

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert shown(server, encoded(Image.new("RGB", (60, 40)), "JPEG", exif=exif)).shape == (60, 40, 3)
    with pytest.raises(Undecodable):
        decode_image(b"x", DecodeConfig())  # registers HEIF, so that it can be written here
    assert shown(server, encoded(Image.new("RGB", (60, 40)), "HEIF")).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (encoded(Image.new("L", (101, 100))), "too large"),
        (encoded(Image.new("L", (201, 100))), "too large"),
        (encoded(Image.new("RGB", (10, 10)), "EPS"), "PostScript"),
    ],
    ids=["large", "bomb", "eps"],
)
def test_what_files_may_not_be_stills_may_not_be_either(server: StillServer, body: bytes, reason: str) -> None:
    server.answer = lambda headers: (200, {}, body)
    one = feed(server.host, max_pixels=10_000)
    with pytest.raises(FeedError, match=f"no picture: .*{reason}"):
        some(one, 1)
    assert one.counts == {"broken": 3}


def test_one_broken_answer_is_one_picture_less(server: StillServer) -> None:
    bodies = iter([JPEG, b"broken", OTHER])
    server.answer = lambda headers: (200, {}, next(bodies))
    one = feed(server.host)
    assert len(some(one, 2)) == 2
    assert one.counts == {"broken": 1}


@pytest.mark.parametrize("challenge", ['Basic realm="cam"', 'Digest realm="cam", nonce="n", qop="auth", algorithm=MD5'])
def test_a_login_is_given_when_it_is_asked_for(server: StillServer, challenge: str) -> None:
    def answer(headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        scheme = challenge.partition(" ")[0]
        if headers.get("Authorization", "").startswith(scheme):
            return 200, {}, JPEG
        return 401, {"WWW-Authenticate": challenge}, b""

    server.answer = answer
    assert all(some(feed(server.host, "me:secret@"), 2))
    assert "Authorization" not in server.asked[0]


def test_a_camera_that_leads_elsewhere_takes_no_login_along(server: StillServer) -> None:
    def lead(headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if "Authorization" not in headers:
            return 401, {"WWW-Authenticate": 'Basic realm="cam"'}, b""
        return 302, {"Location": f"http://{other.host}/still.jpg"}, b""

    other = StillServer()
    other.answer = lambda headers: (200, {}, JPEG)
    server.answer = lead
    assert all(some(feed(server.host, "me:secret@"), 2))
    other.close()
    assert len(other.asked) == 2
    assert not any("Authorization" in asked for asked in other.asked)


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/a.jpg", "http://[", "still.jpg", ""])
def test_a_camera_that_leads_nowhere_is_away(server: StillServer, place: str) -> None:
    server.answer = lambda headers: (302, {"Location": place}, b"")
    with pytest.raises(FeedError, match="no answer: "):
        some(feed(server.host), 1)


def test_what_a_camera_packs_without_being_asked_is_not_unpacked(server: StillServer) -> None:
    server.answer = lambda headers: (200, {"Content-Encoding": "gzip, gzip"}, compress(compress(bytes(2 << 20))))
    with pytest.raises(FeedError, match="no picture"):
        some(feed(server.host, max_mb=1), 1)
    assert {asked["Accept-Encoding"] for asked in server.asked} == {"identity"}


def test_a_server_that_never_answers_is_given_up() -> None:
    with Server(silent) as server, pytest.raises(FeedError, match="no answer in time"):
        some(feed(server.host, timeout_s=0.3), 1)


def test_an_answer_that_trickles_is_given_up_as_a_whole() -> None:
    def trickle(server: Server, connection: Any) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.ended.wait(0.05):
            connection.sendall(b"x")

    with Server(trickle) as server, pytest.raises(FeedError, match="no whole answer in time"):
        some(feed(server.host, timeout_s=0.5), 1)


def test_stills_go_through_the_same_gates_and_outages(
    watched: Watched, server: StillServer, until: Callable[..., bool]
) -> None:
    shown = jpegs(40)
    server.answer = lambda headers: (200, {}, shown[len(server.asked) // 3 % 40])
    source = watched.start(f"still=http://{server.host}/still.jpg", snapshot={"every_s": 0.1})
    assert until(lambda: len(watched.frames()) >= 5 and source.counts.get("frozen", 0) >= 5, SLOW_S)
    server.answer = lambda headers: (503, {}, b"")
    assert until(lambda: source.health == "offline", SLOW_S)
    assert source.detail == "it answers 503 Service Unavailable"
    before = len(watched.frames())
    server.answer = lambda headers: (200, {}, shown[len(server.asked) % 40])
    assert until(lambda: len(watched.frames()) > before, SLOW_S)
