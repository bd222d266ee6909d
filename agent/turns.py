"""Whose task is next: a queue for each lane, and the lanes take turns, so that a long queue holds up its own lane only.

A lane whose tasks do harm is on probation, and such lanes together leave one place to the others: a folder full of
files that hang costs everybody else next to nothing. It knows nothing about what the tasks are.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

PROBATION = 10
"""So many tasks in a row must do no harm before a lane is trusted again."""


@dataclass(slots=True)
class _Lane(Generic[T]):
    waiting: deque[T] = field(default_factory=deque)
    running: int = 0
    probation: int = 0


class Turns(Generic[T]):
    """Tasks in order of their lane, and lanes in turn; for any number of threads.

    Args:
        places: so many tasks are worked on at once.
    """

    def __init__(self, places: int) -> None:
        self._suspects_most = max(1, places - 1)
        self._lanes: dict[str, _Lane[T]] = {}  # the next one first
        self._closed = False
        self._changed = threading.Condition()

    def put(self, lane: str, task: T) -> None:
        """Queue a task.

        Raises:
            RuntimeError: after `close`.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the workers are closed")
            self._lanes.setdefault(lane, _Lane()).waiting.append(task)
            self._changed.notify()

    def take(self) -> tuple[str, T] | None:
        """The next task and its lane, for `done`; waits for one, and is None after `close`."""
        with self._changed:
            while not self._closed:
                lane = self._next()
                if lane is not None:
                    its = self._lanes[lane] = self._lanes.pop(lane)  # to the end
                    its.running += 1
                    return lane, its.waiting.popleft()
                self._changed.wait()
            return None

    def done(self, lane: str, *, harmed: bool) -> None:
        """A task that was taken is finished; whether it did harm."""
        with self._changed:
            its = self._lanes[lane]
            its.running -= 1
            its.probation = PROBATION if harmed else max(0, its.probation - 1)
            if not (its.running or its.waiting):
                del self._lanes[lane]
            self._changed.notify_all()

    def close(self) -> list[T]:
        """Nobody gets any more; what was not taken. May be called again."""
        with self._changed:
            self._closed = True
            rest = [task for its in self._lanes.values() for task in its.waiting]
            for its in self._lanes.values():
                its.waiting.clear()
            self._changed.notify_all()
            return rest

    def _next(self) -> str | None:
        suspects = sum(its.running for its in self._lanes.values() if its.probation)
        for lane, its in self._lanes.items():
            if its.waiting and not (its.probation and suspects >= self._suspects_most):
                return lane
        return None
