"""The real command in a subprocess, with a data directory and a watched folder of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0


def flags(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


OFF = flags("learner.views_per_picture=0")
CHEAP_SETS = (
    "encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16",
    "cluster.every=1000000", "cluster.idle_s=1000000",
)  # fmt: skip
"""A network that costs little and no rounds: what is tested is how pictures come in."""
CHEAP = flags(*CHEAP_SETS)


class Taxon:
    """Runs verbs of the real command line on one data directory."""

    def __init__(self, home: Path) -> None:
        self.data = home / "data"
        self.folder = home / "pictures"
        self.folder.mkdir()
        self.log = home / "agent.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(ROOT / "run_agent.py"), *arguments, "--data", str(self.data)]

    def call(self, *arguments: str, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout_s, cwd=ROOT)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def call_bare(self, *arguments: str) -> None:
        """A verb that takes no data directory."""
        subprocess.run([sys.executable, str(ROOT / "run_agent.py"), *arguments], check=True, timeout=300, cwd=ROOT)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.call(*arguments, "--json").stdout)

    def once(self, *overrides: str, learning: bool = False) -> None:
        self.call("run", "--once", "--watch", str(self.folder), *_sets(overrides, learning))

    def start(self, *overrides: str, learning: bool = False, camera: str = "") -> subprocess.Popen[bytes]:
        cameras = ("--camera", camera) if camera else ()
        return self.start_bare("run", "--watch", str(self.folder), *cameras, *_sets(overrides, learning))

    def start_bare(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(self.command(*arguments), stdout=log, stderr=log, cwd=ROOT)
        self.adopt(process)
        return process

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for this process, too, and kill it in the end."""
        self._running.append(process)

    def export(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.call("export", "--format", "csv").stdout)))

    def rows(self) -> dict[str, dict[str, str]]:
        """Exported rows by file name."""
        return {Path(row["uri"]).name: row for row in self.export()}

    def wait_for(self, true: Callable[[], bool], timeout_s: float = START_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            running = [process for process in self._running if process.poll() is None]
            assert time.monotonic() < deadline, f"gave up after {timeout_s} s (running: {len(running)})\n{self.tail()}"
            time.sleep(0.2)

    def stored(self) -> int:
        if not (self.data / "taxon.db").exists():
            return 0
        done = self.call("status", "--json", check=False)
        return int(json.loads(done.stdout)["pictures"]) if done.returncode == 0 else 0

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(30)

    def kill_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


def _sets(overrides: tuple[str, ...], learning: bool) -> list[str]:
    chosen = [*overrides] if learning else ["learner.views_per_picture=0", *overrides]
    return flags(*chosen)


@pytest.fixture
def taxon(tmp_path: Path) -> Iterator[Taxon]:
    runner = Taxon(tmp_path)
    yield runner
    runner.kill_all()
