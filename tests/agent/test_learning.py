from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from agent.config import Config
from agent.device import HOST
from agent.encoder import build_encoder
from agent.learning import Learning, PausedFlag
from storage.queries import Queries
from storage.records import Event, EventType
from storage.store import Store
from tests import learners
from tests.agent.test_train_worker import Embedding, stored


def new_learning(store: Store, queries: Queries, folder: Path, config: Config) -> Learning:
    embedding: Any = Embedding()
    return Learning(config, build_encoder(config.encoder, 0), HOST, store, queries, embedding, folder)


def finish(learning: Learning) -> None:
    deadline = time.monotonic() + 120
    while not learning.done:
        assert time.monotonic() < deadline
        if not learning.step(draining=True):
            time.sleep(0.01)


def test_learning_that_is_off_is_done(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, learners.small_config(learner={"views_per_picture": 0}))
    store.add([stored(0)])
    assert learning.done
    assert learning.debt_views == 0
    assert not learning.step(draining=True)


def test_the_learner_is_loaded_when_there_is_something_to_learn(store: Store, queries: Queries, tmp_path: Path) -> None:
    learning = new_learning(store, queries, tmp_path, learners.small_config(learner={"views_per_picture": 4.0}))
    assert learning.done
    assert not learning.step(draining=False)
    store.add([stored(n) for n in range(8)])
    assert not learning.done
    assert learning.debt_views == 32
    finish(learning)
    learning.save()
    again = new_learning(store, queries, tmp_path, learners.small_config())
    assert again.done


def test_a_learner_that_cannot_be_loaded_is_an_error(
    store: Store, queries: Queries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("agent.learning._build_worker", fail)
    learning = new_learning(store, queries, tmp_path, learners.small_config())
    store.add([stored(0)])
    with pytest.raises(MemoryError):
        finish(learning)


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
