"""The real command in a process of its own, and what a program beside it can see of its store."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import psutil

ROOT = Path(__file__).resolve().parent.parent
LOOK_S = 0.02
STOP_S = 30.0
SMALL = (
    "encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16",
    "cluster.every=1000000", "cluster.idle_s=1000000",
)  # fmt: skip
"""A network that costs little, and no rounds: for figures of how pictures come in."""


class Running:
    """An agent that runs as long as the context lasts; its learning is off.

    Args:
        data: data directory; its log lies beside it.
        arguments: sources, as `run` takes them.
        settings: as `--set` takes them.
    """

    def __init__(self, data: Path, arguments: Sequence[str], settings: Sequence[str] = ()) -> None:
        sets = [part for one in ("learner.views_per_picture=0", *settings) for part in ("--set", one)]
        self._command = [sys.executable, str(ROOT / "run_agent.py"), "run", *arguments, *sets, "--data", str(data)]
        self._database = data / "taxon.db"
        self._log = data.with_suffix(".log")

    def __enter__(self) -> Running:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=ROOT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it has become true in time.

        Raises:
            RuntimeError: the agent has ended.
        """
        deadline = time.monotonic() + timeout_s
        while not true():
            if self.process.poll() is not None:
                raise RuntimeError(f"the agent has ended: {self.said()[-2000:]}")
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def said(self) -> str:
        """Its log."""
        return self._log.read_text(errors="replace")

    def pictures(self) -> int:
        """How many are stored; 0 before there is a database."""
        try:
            connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)
        except sqlite3.OperationalError:
            return 0
        try:
            row = connection.execute("SELECT value FROM counters WHERE name = 'pictures'").fetchone()
            return int(row[0]) if row else 0
        except sqlite3.OperationalError:
            return 0
        finally:
            connection.close()

    def cpu_s(self) -> float:
        """Processor seconds that it and its processes have used."""
        agent = psutil.Process(self.process.pid)
        times = [process.cpu_times() for process in (agent, *agent.children(recursive=True))]
        return sum(one.user + one.system for one in times)
