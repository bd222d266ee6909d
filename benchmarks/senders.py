"""Programs that send pictures to the door of an agent on this machine, each one after the other, until it is stored."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

STORED, BUSY = (200, 201), 503


def send_all(port: int, pictures: Sequence[bytes], senders: int) -> int:
    """Return when all are answered as stored; how often one was told to come again."""
    with ThreadPoolExecutor(senders) as threads:
        shares = [pictures[number::senders] for number in range(senders)]
        return sum(threads.map(lambda share: sum(_send(port, picture) for picture in share), shares))


def _send(port: int, picture: bytes) -> int:
    refused = 0
    while (again_s := _again_s(port, picture)) is not None:
        refused += 1
        time.sleep(again_s)
    return refused


def _again_s(port: int, picture: bytes) -> float | None:
    """Seconds until it is to be sent again; None when it is stored.

    Raises:
        RuntimeError: the answer is neither.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/ingest", picture)
        answer = connection.getresponse()
        text, again_s = answer.read(), answer.getheader("Retry-After")
    finally:
        connection.close()
    if answer.status in STORED:
        return None
    if answer.status != BUSY or again_s is None:
        raise RuntimeError(f"the door answers {answer.status}: {text[:200]!r}")
    return float(again_s)
