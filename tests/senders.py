"""Programs that send pictures by HTTP, well or ill behaved."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

PATIENCE_S = 60.0
BEGAN = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends pictures to one door."""

    port: int
    source: str = "good"
    token: str = ""

    def send(self, picture: bytes, **headers: str) -> httpx.Response:
        """One request; keywords are headers, with `_` for `-`."""
        given = {"X-Taxon-Source": self.source, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        return httpx.post(f"{self.url}/ingest", content=picture, headers=given, timeout=PATIENCE_S, trust_env=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send_all(self, pictures: Sequence[bytes], stop: threading.Event) -> None:
        """One after the other, each again and again until it is stored; a second lies between them."""
        for number, picture in enumerate(pictures):
            at = (BEGAN + timedelta(seconds=number)).isoformat()
            while not stop.is_set() and not self._stored(picture, X_Taxon_Captured_At=at):
                stop.wait(0.05)

    def _stored(self, picture: bytes, **headers: Any) -> bool:
        try:
            return self.send(picture, **headers).is_success
        except httpx.TransportError:  # nobody listens yet, or any more
            return False

    def wait(self) -> None:
        """Until the door is open."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if httpx.get(f"{self.url}/health", trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
