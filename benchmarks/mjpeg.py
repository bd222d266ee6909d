"""A camera that can be killed: shows the JPEG files of a folder by HTTP, one after the other, again and again.

    python -m benchmarks.mjpeg PORT FOLDER

Only the standard library, so that it answers a moment after it was started.
"""

from __future__ import annotations

import socket
import sys
import time
from itertools import cycle
from pathlib import Path

FPS = 10
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"


def serve(port: int, folder: Path) -> None:
    """One visitor after the other; returns never."""
    parts = cycle([path.read_bytes() for path in sorted(folder.iterdir())])
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            try:
                connection.recv(4096)
                connection.sendall(HEAD)
                for part in parts:
                    said = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                    connection.sendall(said.encode() + part + b"\r\n")
                    time.sleep(1 / FPS)
            except OSError:  # it has seen enough
                connection.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
