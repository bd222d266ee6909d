"""A child process that is started again when it dies, but not for ever.

Knows nothing about what the child does.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import structlog

log = structlog.get_logger(__name__)

RESTARTS = 5
WINDOW_S = 60.0


class GaveUp(Exception):
    """A child process died again and again; what it said on stderr tells why."""


class Supervisor:
    """Keeps one spawned process alive: at most `RESTARTS` new starts in `WINDOW_S`, then it stays down.

    The bound is Frigate's (`watchdog.py`): a child that dies at once would otherwise eat a core for ever.
    """

    def __init__(
        self,
        name: str,
        target: Callable[..., None],
        args: tuple[object, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._target = target
        self._args = args
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._process: BaseProcess | None = None
        self.gave_up = False

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=self._target, args=self._args, name=self.name)
        self._process.start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    @property
    def finished(self) -> bool:
        """It ended by itself, and well."""
        return self._process is not None and self._process.exitcode == 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def check(self) -> None:
        """Start the process again if it died by accident; an exit with status 0 is no accident."""
        process = self._process
        if process is None or self.gave_up or process.is_alive() or process.exitcode == 0:
            return
        now = self._clock()
        while self._restarts and now - self._restarts[0] > WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) >= RESTARTS:
            self.gave_up = True
            log.error(
                f"{self.name} died {RESTARTS + 1} times within {WINDOW_S:.0f} s and stays down; restart the agent"
            )
            return
        self._restarts.append(now)
        log.warning(f"{self.name} died and is started again", exitcode=process.exitcode)
        self.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the process to end; True when it did."""
        if self._process is None:
            return True
        self._process.join(timeout_s)
        return not self._process.is_alive()

    def kill(self) -> None:
        if self._process is not None and self._process.is_alive():
            self._process.kill()
            self._process.join(5)
