"""When the learner is loaded, and whether it may work: the main thread's view of training.

Knows nothing of how a batch is learned from; that is `agent.train_worker`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.config import LearnerConfig
from agent.publication import publication_waits
from storage.queries import Queries

if TYPE_CHECKING:
    from agent.train_worker import TrainWorker


class Learning:
    """The training worker, built when there is first something to learn.

    Its libraries take seconds to import (avalanche 6-8 s): a thread does that while the agent already sees, and
    an agent that has nothing to learn never pays for it.

    Args:
        enabled: False where another agent learns.
        build: loads the learner and goes on from its checkpoint; called in the thread, again only after it failed.
    """

    def __init__(
        self, config: LearnerConfig, queries: Queries, build: Callable[[], TrainWorker], *, enabled: bool = True
    ) -> None:
        self.enabled = enabled and config.views_per_picture > 0
        self._config = config
        self._queries = queries
        self._build = build
        self._worker: TrainWorker | None = None
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._paused = PausedFlag(queries)

    @property
    def debt_views(self) -> float:
        if not self.enabled:
            return 0.0
        waiting = min(self._unlearned(self._worker), self._config.debt_pictures)
        return waiting * self._config.views_per_picture

    def _unlearned(self, worker: TrainWorker | None) -> int:
        through = self._queries.state("learned_through") if worker is None else worker.learned_through
        return self._queries.count_after(through if isinstance(through, int) else 0)

    @property
    def done(self) -> bool:
        """Nothing is left to learn or to publish, or learning is off."""
        if not self.enabled or self._paused():
            return True
        worker = self._worker  # read once: while it is asked, the learner may come
        return not self._something_waits(worker) and (worker is None or not worker.unpublished)

    def _something_waits(self, worker: TrainWorker | None) -> bool:
        """Pictures to learn from, or what was learned before a stop and is not published."""
        return self._unlearned(worker) > 0 or (worker is None and publication_waits(self._queries))

    def step(self, *, draining: bool) -> bool:
        """One batch, if there is one; False when there is nothing to do now.

        Raises:
            Exception: whatever building the learner failed with.
        """
        if not self.enabled or self._paused():
            if self._worker is not None:
                self._worker.forget_what_is_gone()
            return False
        if self._failure is not None:
            failure, self._failure, self._thread = self._failure, None, None
            raise failure
        if self._worker is not None:
            return self._worker.step(draining=draining)
        if self._thread is None and self._something_waits(None):
            self._thread = threading.Thread(target=self._load, name="load learner", daemon=True)
            self._thread.start()
        return False

    def _load(self) -> None:
        try:
            self._worker = self._build()
        except Exception as error:  # noqa: BLE001  the edge of a thread: the main thread raises it
            self._failure = error

    def save(self) -> None:
        if self._worker is not None:
            self._worker.save()


class PausedFlag:
    """Whether people have paused learning, asked of the events at most once a second."""

    def __init__(self, queries: Queries, clock: Callable[[], float] = time.monotonic) -> None:
        self._queries = queries
        self._clock = clock
        self._asked_at = -1.0
        self._paused = False

    def __call__(self) -> bool:
        now = self._clock()
        if self._asked_at < 0 or now - self._asked_at > 1.0:
            self._asked_at = now
            self._paused = self._queries.paused()
        return self._paused
