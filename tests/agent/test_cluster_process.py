from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from agent import cluster_process
from agent.cluster_process import _work, _work_on
from storage.errors import Unreachable
from storage.store import Store
from tests.agent.rounds import CONFIG
from tests.factories import picture

ORPHAN = """
import multiprocessing, os, signal, sys
from agent.cluster_process import run_cluster_process
from agent.config import ClusterConfig, LogConfig

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    job = (sys.argv[1], ClusterConfig(), 0, 1, LogConfig(), spawn.Event(), spawn.Event())
    process = spawn.Process(target=run_cluster_process, args=job)
    process.start()
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""

ROOT = Path(__file__).resolve().parents[2]


class Quiet:
    """A worker that has nothing to do, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def step(self, *, draining: bool) -> bool:
        self.asked.append(draining)
        return False


def test_who_has_nothing_to_do_asks_again_when_somebody_has_written_and_when_it_is_to_end(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_process, "POLL_S", 0.01)
    monkeypatch.setattr(cluster_process, "LOOK_S", 60.0)
    quiet, stop, drain = Quiet(), threading.Event(), threading.Event()
    working = threading.Thread(target=_work, args=(quiet, engine, stop, drain), daemon=True)

    def asked(times: int) -> bool:
        deadline = time.monotonic() + 10
        while len(quiet.asked) < times and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(quiet.asked) == times

    working.start()
    assert asked(1)
    time.sleep(0.3)
    assert asked(1), "once in thirty polls"
    store.add([picture(1)])
    assert asked(2)
    drain.set()
    working.join(10)
    assert not working.is_alive()
    assert quiet.asked == [False, False, True]


def test_a_server_that_is_away_is_waited_for_from_the_first_question_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, quiet = [Unreachable("no server")] * 2, Quiet()

    def begin(*arguments: object) -> Quiet:
        if failures:
            raise failures.pop()
        return quiet

    monkeypatch.setattr("agent.patience.RETRY_S", (0.01,))
    monkeypatch.setattr(cluster_process, "_worker", begin)
    stop, drain = threading.Event(), threading.Event()
    drain.set()
    _work_on(engine, CONFIG, 0, stop, drain)  # type: ignore[arg-type]
    assert quiet.asked == [True]


def test_what_the_clock_tells_is_asked_now_and_then(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_process, "POLL_S", 0.01)
    monkeypatch.setattr(cluster_process, "LOOK_S", 0.03)
    quiet, stop = Quiet(), threading.Event()
    working = threading.Thread(target=_work, args=(quiet, engine, stop, threading.Event()), daemon=True)
    working.start()
    deadline = time.monotonic() + 10
    while len(quiet.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    working.join(10)
    assert len(quiet.asked) >= 3


def test_the_process_ends_with_the_agent_even_if_that_was_killed_while_it_started(tmp_path: Path, data: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(ORPHAN)
    command = [sys.executable, str(script), f"sqlite:///{data / 'taxon.db'}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environment) as agent:
        assert agent.stdout is not None
        pid = int(agent.stdout.readline())
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("it outlived the agent")
        time.sleep(0.1)
