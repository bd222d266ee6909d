"""Worker processes that may hang, crash or run out of memory without harm to anybody else.

It knows nothing about pictures. Why not a pool from a library: `concurrent.futures` breaks as a whole when one worker
dies, and so does `pebble` (5.2) when an idle one is killed, say by the kernel for want of memory; in both, workers
share one queue and its lock. Here each worker has a pipe of its own and a thread that waits for it, so the loss of a
worker is the loss of one task.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from agent.turns import Turns

log = structlog.get_logger(__name__)

R = TypeVar("R")

START_TIMEOUT_S = 60.0
START_RETRY_S = (0.5, 1, 2, 4)
JOIN_S = 2.0
_PR_SET_PDEATHSIG = 1
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from agent.killable import serve; serve()"


class WorkerStartError(Exception):
    """No worker process can be started; nothing is wrong with the tasks."""


class WorkerLost(Exception):
    """The worker died of its task, or was killed because of it; the message says how."""


class Task(Future[R]):
    """What becomes of one task.

    Attributes:
        began_s: when a worker got it, in monotonic seconds; infinite while it waits for one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.began_s = math.inf


class KillableWorkers(Generic[R]):
    """Runs `function(*arguments)` in processes with a time and a memory limit.

    Args:
        function: importable by name in another process; so are its arguments and results.
        lost: makes the result of a task that killed its worker: `lost(reason, *arguments)`.
        workers: number of processes; each is started again after it was lost.
        timeout_s: a task that takes longer is lost, and its worker killed.
        memory_mb: address space that a worker may add to what it has before its first task.
    """

    def __init__(
        self,
        function: Callable[..., R],
        *,
        lost: Callable[..., R],
        workers: int,
        timeout_s: float,
        memory_mb: int,
    ) -> None:
        self._function = function
        self._lost = lost
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._turns: Turns[tuple[Task[R], tuple[Any, ...]]] = Turns(workers)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._living: set[_Worker] = set()
        self._threads = [threading.Thread(target=self._work, name=f"killable-{i}", daemon=True) for i in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, *arguments: Any, lane: str = "") -> Task[R]:
        """Queue a task. It raises `WorkerStartError`, or is cancelled by `close`.

        Args:
            lane: tasks of one start in order, and lanes take turns (`agent.turns`).

        Raises:
            RuntimeError: after `close`.
        """
        future: Task[R] = Task()
        self._turns.put(lane, (future, arguments))
        return future

    def pids(self) -> list[int]:
        """Process ids of the living workers."""
        with self._lock:
            return [worker.pid for worker in self._living]

    def close(self) -> None:
        """Kill all workers, cancel all tasks. Safe to call twice."""
        self._closing.set()
        for future, _ in self._turns.close():
            future.cancel()
        with self._lock:
            for worker in self._living:
                worker.kill()
        for thread in self._threads:
            thread.join(JOIN_S)

    # ---------------------------------------------------------------- one thread per worker

    def _work(self) -> None:
        worker: _Worker | None = None
        while (turn := self._turns.take()) is not None:
            lane, (future, arguments) = turn
            begun = future.set_running_or_notify_cancel()
            if begun:
                worker = self._settle(future, arguments, worker)
            self._turns.done(lane, harmed=begun and worker is None)
        self._retire(worker)

    def _settle(self, future: Task[R], arguments: tuple[Any, ...], worker: _Worker | None) -> _Worker | None:
        """Give the future its result, and return the worker if it can go on."""
        try:
            if worker is None or not worker.is_alive():
                self._retire(worker)
                worker = None  # if the start fails, there is none
                worker = self._start()
            future.began_s = time.monotonic()
            future.set_result(worker.run(arguments, self._timeout_s))
        except (WorkerStartError, CancelledError) as error:
            future.set_exception(error)
        except WorkerLost as error:
            self._retire(worker)
            worker = None
            self._mourn(future, arguments, str(error))
        except Exception as error:  # noqa: BLE001 - the edge of this thread: what cannot be sent or made is the caller's
            self._retire(worker)
            worker = None
            future.set_exception(error)
        return worker

    def _mourn(self, future: Future[R], arguments: tuple[Any, ...], reason: str) -> None:
        if self._closing.is_set():
            future.set_exception(CancelledError())
            return
        log.warning("a worker was lost", reason=reason)
        try:
            future.set_result(self._lost(reason, *arguments))
        except Exception as error:  # noqa: BLE001 - as below: a thread that dies would leave its tasks waiting for ever
            future.set_exception(error)

    def _start(self) -> _Worker:
        """Start a process, patiently: a machine short of memory is no reason to blame the tasks."""
        for pause_s in (*START_RETRY_S, None):
            if self._closing.is_set():
                raise CancelledError
            try:
                worker = _Worker(self._memory_mb)
            except OSError as error:
                reason = str(error)
            else:
                with self._lock:
                    self._living.add(worker)
                try:
                    worker.prepare(self._function)
                    return worker
                except WorkerLost as error:
                    reason = str(error)
                    self._retire(worker)
            if pause_s is not None:
                log.warning("a worker process cannot be started; trying again", reason=reason, wait_s=pause_s)
                self._closing.wait(pause_s)
        raise WorkerStartError(f"worker processes cannot be started: {reason}")

    def _retire(self, worker: _Worker | None) -> None:
        if worker is not None:
            with self._lock:
                self._living.discard(worker)
            worker.end()


class _Worker:
    """The parent's end of one worker process. Only `kill` may be called from another thread."""

    def __init__(self, memory_mb: int) -> None:
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(memory_mb), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is for the parent, who decides; and one thread in each linear algebra library is enough.
                process_group=0,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        except OSError:
            self._pipe.close()
            raise
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def prepare(self, function: Callable[..., Any]) -> None:
        """Send what is to be run, and wait until the worker has imported it."""
        self._ask((os.getpid(), function), START_TIMEOUT_S)

    def run(self, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        """Run one task. Raises WorkerLost; then the worker must be retired."""
        return self._ask(arguments, timeout_s)

    def _ask(self, message: object, timeout_s: float) -> Any:
        try:
            self._pipe.send(message)
            if not self._pipe.poll(timeout_s):
                raise WorkerLost(f"took longer than {timeout_s:g} s")
            done, reply = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerLost(self._obituary()) from None
        if not done:
            raise WorkerLost(reply)
        return reply

    def _obituary(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "the decoder closed its pipe"
        if code == -signal.SIGKILL:
            return "the decoder was killed (SIGKILL), probably for want of memory"
        return f"the decoder crashed ({signal.Signals(-code).name})" if code < 0 else f"the decoder exited ({code})"

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        """Kill the process, if it is still there, and give everything back."""
        self._process.kill()
        try:
            self._process.wait(JOIN_S)
        except subprocess.TimeoutExpired:  # it hangs in the kernel, and will be gone when its disk is back
            log.warning("a worker process cannot be killed, and is left behind", pid=self.pid)
        self._pipe.close()


# -------------------------------------------------------------------- in the worker


def serve() -> None:
    """The worker process: answer until the parent's end of the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a service manager signals the whole group; the parent decides
    pipe: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        parent, function = pipe.recv()
        die_with(parent)
        limit_memory(int(sys.argv[2]))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # C libraries write pages about broken files
        pipe.send((True, None))
        while True:
            arguments = pipe.recv()
            pipe.send(_answer(function, arguments))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    try:
        return True, function(*arguments)
    except MemoryError as error:
        return False, str(error) or "needs more memory than is allowed"
    except Exception as error:  # noqa: BLE001 - the edge of the worker: whatever it is, it costs this task only
        return False, " ".join(f"{type(error).__name__}: {error}".split())


def die_with(parent: int) -> None:
    """Have the kernel kill this process with its parent, even while a decoder hangs; elsewhere the pipe's end does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it died before it could be asked


def limit_memory(memory_mb: int) -> None:
    """Limit the address space to what is in use now plus `memory_mb`."""
    with suppress(OSError, ValueError):  # no /proc, or a platform without this limit
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (memory_mb << 20)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
