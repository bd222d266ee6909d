from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path

import psutil
import pytest

from agent import killable
from agent.killable import KillableWorkers, WorkerStartError


def lost(reason: str, *arguments: object) -> str:
    return f"lost {arguments}: {reason}"


Start = Callable[..., KillableWorkers[object]]


@pytest.fixture
def start(faulty: Callable[[str], Callable[..., object]]) -> Iterator[Start]:
    started: list[KillableWorkers[object]] = []

    def workers(function: str, *, count: int = 1, timeout_s: float = 20) -> KillableWorkers[object]:
        pool: KillableWorkers[object] = KillableWorkers(
            faulty(function), lost=lost, workers=count, timeout_s=timeout_s, memory_mb=512
        )
        started.append(pool)
        return pool

    yield workers
    for pool in started:
        pool.close()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def eventually(condition: Callable[[], bool], timeout_s: float = 5) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_results_come_back(start: Start) -> None:
    pool = start("echo", count=2)
    futures = [pool.submit(value) for value in range(50)]
    assert [future.result(20) for future in futures] == list(range(50))
    assert len(pool.pids()) == 2


def test_a_worker_killed_while_idle_costs_nothing(start: Start) -> None:
    pool = start("pid")
    first = pool.submit().result(20)
    assert isinstance(first, int)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not is_running(first))
    second = pool.submit().result(20)
    assert isinstance(second, int), second
    assert second != first


def test_a_task_that_hangs_is_lost_alone(start: Start) -> None:
    pool = start("nap", timeout_s=0.3)
    hung, fine = pool.submit(60), pool.submit(0)
    assert hung.result(20) == "lost (60,): took longer than 0.3 s"
    assert fine.result(20) is None


def test_tasks_that_hang_hold_up_no_other_lane(start: Start) -> None:
    pool = start("nap", count=2, timeout_s=0.3)
    hung = [pool.submit(60, lane="hostile") for _ in range(30)]
    for _ in range(5):
        assert pool.submit(0, lane="good").result(20) is None
    assert sum(future.done() for future in hung) < 12


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python misses the process, too
def test_a_process_that_cannot_be_killed_is_left_behind(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is None:
            time.sleep(60)
        raise subprocess.TimeoutExpired("worker", timeout or 60)

    pool = start("nap", timeout_s=0.3)
    with monkeypatch.context() as patched:
        patched.setattr(killable, "JOIN_S", 0.1)
        patched.setattr(subprocess.Popen, "wait", wait)
        hung, fine = pool.submit(60), pool.submit(0)
        assert hung.result(20) == "lost (60,): took longer than 0.3 s"
        assert fine.result(20) is None


def test_workers_ignore_what_the_group_is_told(start: Start) -> None:
    pool = start("pid")
    pid = pool.submit().result(20)
    assert isinstance(pid, int)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert pool.submit().result(20) == pid


def test_close_cancels_and_kills_at_once(start: Start) -> None:
    pool = start("nap", count=2)
    futures = [pool.submit(60) for _ in range(5)]
    assert eventually(lambda: len(pool.pids()) == 2 and futures[0].running(), 20)
    pids = pool.pids()
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 2
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(1)
    assert not any(is_running(pid) for pid in pids)
    pool.close()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(0)


def test_when_no_process_starts_it_is_not_the_task_s_fault(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(killable, "START_RETRY_S", (0.01,))
    monkeypatch.setattr(killable, "_BOOT", "raise SystemExit(7)")
    with pytest.raises(WorkerStartError, match=r"exited \(7\)"):
        start("echo").submit(1).result(20)


PARENT = """
import sys, time
from agent.killable import KillableWorkers
import faulty
pool = KillableWorkers(faulty.nap, lost=print, workers=2, timeout_s=60, memory_mb=512)
tasks = [pool.submit(60)]
while not (len(pool.pids()) == 1 and tasks[0].running()):
    time.sleep(0.01)
idle = pool.submit(0)
idle.result()
print(*pool.pids(), flush=True)
{end}
"""


@pytest.mark.parametrize(("end", "number"), [("time.sleep(60)", signal.SIGKILL), ("", None)])
def test_workers_do_not_outlive_their_parent(faulty_folder: Path, end: str, number: int | None) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(end=end)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(faulty_folder), *sys.path])},
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        if number is not None:
            parent.send_signal(number)
        parent.wait(10)
    assert eventually(lambda: not any(is_running(pid) for pid in pids)), "one hung, one idle: both must be gone"
