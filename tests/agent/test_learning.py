from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agent.config import LearnerConfig
from agent.learning import Learning, PausedFlag
from agent.publication import PUBLISHING
from agent.train_worker import TrainWorker
from storage.errors import Unreachable
from storage.queries import Queries
from storage.records import Event, EventType
from storage.store import Store
from tests import learners
from tests.agent.test_train_worker import Embedding, stored


def new_learning(store: Store, queries: Queries, folder: Path, views_per_picture: float) -> Learning:
    config = learners.small_config(learner={"views_per_picture": views_per_picture})
    embedding: Any = Embedding()

    def build() -> TrainWorker:
        worker = TrainWorker(learners.new_learner(config), store, queries, embedding, config, folder)
        worker.restore()
        return worker

    return Learning(config.learner, queries, build)


def finish(learning: Learning) -> None:
    deadline = time.monotonic() + 120
    while not learning.done:
        assert time.monotonic() < deadline
        if not learning.step(draining=True):
            time.sleep(0.01)


def test_learning_that_is_off_is_done(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, views_per_picture=0)
    store.add([stored(0)])
    assert learning.done
    assert learning.debt_views == 0
    assert not learning.step(draining=True)


def test_the_learner_is_loaded_when_there_is_something_to_learn(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, views_per_picture=4)
    assert learning.done
    assert not learning.step(draining=False)
    store.add([stored(n) for n in range(8)])
    assert not learning.done
    assert learning.debt_views == 32
    finish(learning)
    learning.save()
    again = new_learning(store, queries, tmp_path, views_per_picture=4)
    assert again.done


def test_a_version_that_a_kill_cut_off_is_published_after_all(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, views_per_picture=8)
    store.add([stored(n) for n in range(16)])
    finish(learning)
    begun = queries.building_version()
    assert begun is not None
    store.abandon_version(begun)  # what the next start does with a half-built version
    again = new_learning(store, queries, tmp_path, views_per_picture=8)
    assert not again.done
    finish(again)
    new = queries.building_version()
    assert new is not None
    assert new > begun
    store.publish_version(new)
    assert new_learning(store, queries, tmp_path, views_per_picture=8).done


def test_a_learner_that_comes_while_it_is_asked_does_not_hide_what_waits(
    store: Store, queries: Queries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = new_learning(store, queries, tmp_path, views_per_picture=8)
    store.set_state("learned_through", 0)
    store.set_state(PUBLISHING, 2)
    count = queries.count_after

    def the_learner_comes(picture_id: int) -> int:
        learning._load()
        return count(picture_id)

    monkeypatch.setattr(queries, "count_after", the_learner_comes)
    assert not learning.done


def test_a_learner_that_cannot_be_loaded_is_an_error(store: Store, queries: Queries) -> None:
    def fail() -> TrainWorker:
        raise MemoryError

    learning = Learning(LearnerConfig(), queries, fail)
    store.add([stored(0)])
    with pytest.raises(MemoryError):
        finish(learning)


def test_a_learner_that_could_not_be_loaded_is_loaded_when_asked_again(
    store: Store, queries: Queries, tmp_path: Path
) -> None:
    learning, failures = new_learning(store, queries, tmp_path, views_per_picture=4), [Unreachable("no server")]
    build = learning._build

    def fail_first() -> TrainWorker:
        if failures:
            raise failures.pop()
        return build()

    learning._build = fail_first
    store.add([stored(n) for n in range(8)])
    with pytest.raises(Unreachable):
        finish(learning)
    finish(learning)
    assert learning.debt_views == 0


def test_pausing_is_seen_within_a_second(store: Store, queries: Queries) -> None:
    now = [0.0]
    paused = PausedFlag(queries, clock=lambda: now[0])
    assert not paused()
    store.add_events([Event(EventType.PAUSED, actor="somebody")])
    now[0] += 1.1
    assert paused()
    store.add_events([Event(EventType.RESUMED, actor="somebody")])
    assert paused()
    now[0] += 1.1
    assert not paused()


def test_what_was_learned_before_a_stop_is_published_after_it(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, views_per_picture=8)
    store.add([stored(n) for n in range(16)])
    deadline = time.monotonic() + 120
    while learning.debt_views:
        assert time.monotonic() < deadline
        if not learning.step(draining=False):
            time.sleep(0.01)
    learning.save()
    assert queries.building_version() is None
    again = new_learning(store, queries, tmp_path, views_per_picture=8)
    assert not again.done
    finish(again)
    version = queries.building_version()
    assert version == 2
    store.publish_version(version)
    assert new_learning(store, queries, tmp_path, views_per_picture=8).done
