"""A camera under observation: it runs in a thread, and what it gives and says is kept for tests to look at."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.address import parse
from agent.config import CameraConfig, DecodeConfig
from agent.decode import DecodePool
from agent.frame import Frame
from agent.inbox import Inbox
from agent.sources.camera import CameraSource
from agent.sources.outages import Outages

if TYPE_CHECKING:
    from tests.agent.sources.conftest import Archive

SLOW_S = 60.0
"""Patience with a machine that is busy with other things."""

QUICK = {
    "fps": 10,
    "open_timeout_s": 2,
    "read_timeout_s": 2,
    "backoff_s": 0.1,
    "backoff_max_s": 0.5,
    "gates": {"per_minute": 0},
    "kept": {"free_mb": 0},
}


class Watched:
    """A camera that runs in a thread, what came of it, and what it said on the way."""

    def __init__(self, archive: Archive, pool: DecodePool, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.said: list[tuple[str, str]] = []
        self.outages = Outages()
        self.stop = threading.Event()
        self.source: CameraSource
        self._pool = pool
        self._thread: threading.Thread | None = None

    def make(self, camera: str, inbox: Inbox | None = None, **changes: Any) -> CameraSource:
        config = CameraConfig.model_validate({**QUICK, **changes})
        self.source = CameraSource(
            parse(camera, still="still" in camera), config, DecodeConfig(), self.archive, self._pool,
            inbox or self.archive.inbox, self.folder, note=self._note, rng=random.Random(0),
        )  # fmt: skip
        return self.source

    def start(self, camera: str, **changes: Any) -> CameraSource:
        source = self.make(camera, **changes)
        self._thread = threading.Thread(target=source.run, args=(self.stop,), daemon=True)
        self._thread.start()
        return source

    def _note(self, source: str, health: Any, detail: str) -> None:
        self.said.append((health, detail))
        self.outages.note(source, health, detail)

    def end(self) -> None:
        self.stop.set()
        if self._thread is not None:
            began = time.monotonic()
            self._thread.join(10)
            assert time.monotonic() - began < 2
            self._thread = None

    def frames(self) -> list[Frame]:
        return self.archive.frames()

    def reasons(self) -> list[str]:
        return [detail for health, detail in list(self.said) if health == "offline"]
