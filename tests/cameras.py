"""Cameras that tests need: in-process servers, each well or ill behaved in one way, and a real RTSP server.

They listen on a port of their own, count who came, and let a test decide what happens next.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import count, cycle
from pathlib import Path
from types import TracebackType

from PIL import Image

from tests.films import pictures

SYSTEM_PYTHON = "/usr/bin/python3"
START_S = 60.0
DATASETS = Path(os.environ.get("TAXON_DATASETS", Path(__file__).resolve().parents[2] / "shared" / "data"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def jpegs(many: int, width_px: int = 160, height_px: int = 120) -> list[bytes]:
    """Pictures of a moving square, encoded."""
    made = []
    for picture in pictures(many, width_px, height_px):
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    return made


class Server:
    """Accepts connections and does with each what it was told.

    Args:
        behave: called with each connection, in a thread of its own, until it returns.

    Attributes:
        visits: connections so far.
        ended: set when the server stops; behaviours wait for it instead of sleeping.
    """

    def __init__(self, behave: Callable[[Server, socket.socket], None]) -> None:
        self.visits = 0
        self.ended = threading.Event()
        self._behave = behave
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._socket.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.visits += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self._behave(self, connection)


# -------------------------------------------------------------------------- behaviours


def silent(server: Server, connection: socket.socket) -> None:
    """Accepts and never answers."""
    server.ended.wait()


def garbage(server: Server, connection: socket.socket) -> None:
    """Says that it is a video, and sends noise for as long as anybody listens."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp4\r\n\r\n")
    while not server.ended.wait(0.01):
        connection.sendall(os.urandom(20_000))


def mjpeg(
    shown: list[bytes],
    fps: float = 20,
    stall_after: int | None = None,
    unless: threading.Event | None = None,
    boundary: str = "next",
) -> Callable[[Server, socket.socket], None]:
    """Shows pictures again and again, `unless` says no; or stalls for ever after so many, at the first visit.

    The head says that `next` lies between them.
    """

    def behave(server: Server, connection: socket.socket) -> None:
        first = server.visits == 1
        connection.recv(4096)
        head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
        connection.sendall(head.encode())
        for number, jpeg in enumerate(cycle(shown)):
            if unless is not None and unless.is_set():
                return
            if first and number == stall_after:
                server.ended.wait()
            part = f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            connection.sendall(part.encode() + jpeg + b"\r\n")
            if server.ended.wait(1 / fps):
                return

    return behave


def still(shown: list[bytes]) -> Callable[[Server, socket.socket], None]:
    """Gives the next picture to each who comes."""

    def behave(server: Server, connection: socket.socket) -> None:
        while connection.recv(4096):
            jpeg = shown[next(turn) % len(shown)]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            connection.sendall(head.encode() + jpeg)

    turn = count()
    return behave


# -------------------------------------------------------------------------- the real one


def why_no_rtsp(film: Path) -> str:
    """Why the real server cannot be used here; empty when it can."""
    if not film.is_file():
        return f"there is no {film}; set TAXON_DATASETS"
    needs = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer"
    parts = "('concat', 'qtdemux', 'h264parse', 'rtph264pay')"
    needs += f"; Gst.init(None); assert all(map(Gst.ElementFactory.find, {parts}))"
    if not os.access(SYSTEM_PYTHON, os.X_OK):
        return f"there is no {SYSTEM_PYTHON}"
    tried = subprocess.run([SYSTEM_PYTHON, "-c", needs], capture_output=True, timeout=START_S, check=False)
    return "" if tried.returncode == 0 else "GStreamer's RTSP server is not installed (see .ci/run)"


class RtspServer:
    """GStreamer's RTSP server in a process, that can be killed, hung and started again at the same address."""

    def __init__(self, film: Path) -> None:
        self._film = film
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://viewer:secret@127.0.0.1:{self._port}/film"

    def start(self) -> None:
        """Returns when it listens."""
        script = Path(__file__).with_name("rtsp_server.py")
        command = [SYSTEM_PYTHON, str(script), str(self._port), str(self._film)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def hang(self) -> None:
        """It keeps its connections and says nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
