from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.partition import Partition
from storage.queries import Queries
from storage.records import Event, EventType
from storage.states import RECLUSTER
from storage.store import Store
from tests import factories
from tests.agent.rounds import CONFIG, Clock, blob, kinds_of, states, until_nothing_is_due
from tests.factories import picture


@pytest.fixture
def stopwatch() -> Clock:
    return Clock()


@pytest.fixture
def worker(store: Store, queries: Queries, stopwatch: Clock) -> ClusterWorker:
    return ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)


def test_no_round_without_pictures(worker: ClusterWorker, queries: Queries) -> None:
    assert not worker.step(draining=True)
    assert queries.last_clustering() is None


def test_a_round_after_enough_pictures_and_none_when_nothing_is_new(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    store.add(blob(range(40), 0))
    assert not worker.step()
    store.add(blob(range(40, 80), 1))
    assert worker.step()
    last = queries.last_clustering()
    assert last is not None
    assert last.through_picture == 80
    assert last.parameters["reason"] == "every"
    assert len(queries.living_clusters()) == 2
    assert not worker.step()


@pytest.mark.parametrize("draining", [False, True], ids=["idle", "drain"])
def test_what_the_last_full_round_found_is_confirmed_when_nothing_else_comes(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock, draining: bool
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    assert states(queries) == ["provisional"] * 2
    assert not worker.step()
    stopwatch.now += 0 if draining else CONFIG.idle_s + 1
    assert worker.step(draining=draining)
    assert reason(queries) == ("drain" if draining else "idle")
    assert states(queries) == ["active"] * 2
    assert not worker.step(draining=draining)


def test_nothing_is_examined_twice(worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock) -> None:
    """Also if that confirms nothing: few pictures of one kind are not stable under subsampling, or are no kind."""
    store.add(blob(range(80), 0))
    worker.step()
    stable = worker._clusterer.fit
    worker._clusterer.fit = lambda *a, **k: unstable(stable(*a, **k))  # type: ignore[method-assign]
    assert worker.step(draining=True)
    assert states(queries) == ["provisional"]
    assert not worker.step(draining=True)


def unstable(partition: Partition) -> Partition:
    return replace(partition, statistics={kind: {**of, "stability": 0.0} for kind, of in partition.statistics.items()})


def reason(queries: Queries) -> object:
    last = queries.last_clustering()
    assert last is not None
    return last.parameters["reason"]


def test_a_shift_of_the_stream_makes_one_round_due(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    store.add_events([Event(EventType.SHIFT_DETECTED)])
    store.add(blob(range(100, 100 + CONFIG.min_size - 1), 2))
    until_nothing_is_due(worker)
    assert reason(queries) == "every"
    store.add(blob(range(120, 121), 2))
    until_nothing_is_due(worker)
    assert reason(queries) == "shift"
    first = queries.last_clustering()
    store.add(blob(range(130, 150), 2))
    until_nothing_is_due(worker)
    assert queries.last_clustering() == first


def test_a_shift_that_a_round_has_seen_makes_none_due_after_a_restart(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    store.add_events([Event(EventType.SHIFT_DETECTED)])
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    again = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    store.add(blob(range(100, 120), 0))
    assert not again.step()


def test_a_shift_that_is_noticed_during_a_round_makes_one_due_after_a_restart(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = worker._clusterer.fit

    def shifted(*arguments: Any, **options: Any) -> Partition:
        store.add_events([Event(EventType.SHIFT_DETECTED)])
        return fit(*arguments, **options)

    monkeypatch.setattr(worker._clusterer, "fit", shifted)
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    again = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    store.add(blob(range(100, 120), 0))
    assert again.step()
    assert reason(queries) == "shift"


def test_a_round_is_due_when_enough_pictures_find_no_kind(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    store.add([*blob(range(100, 109), 2), *blob(range(110, 130), 0)])
    until_nothing_is_due(worker)
    assert reason(queries) == "every"
    store.add(blob(range(140, 141), 2))
    until_nothing_is_due(worker)
    assert reason(queries) == "strangers"
    first = queries.last_clustering()
    store.add(blob(range(150, 159), 3))
    until_nothing_is_due(worker)
    assert queries.last_clustering() == first


def test_idle_pictures_get_their_round(worker: ClusterWorker, store: Store, stopwatch: Clock, queries: Queries) -> None:
    store.add([*blob(range(20), 0), *blob(range(20, 40), 1)])
    assert not worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    assert worker.step()
    assert queries.status().pending == 0


def test_people_can_ask_for_a_round(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    store.add(blob(range(30), 0))
    store.set_state(RECLUSTER, 0)
    assert worker.step()
    assert reason(queries) == "requested"
    assert not worker.step()


def test_people_get_their_round_and_no_more_whatever_the_clock_says(
    engine: Engine, queries: Queries, stopwatch: Clock
) -> None:
    """It is set back by an hour after the first round, and each request counts once."""
    hands = factories.Clock()
    store = Store(engine, hands)
    store.ensure_born({})
    worker = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    hands.tick(-3600)
    event, _ = store.divide(kinds_of(queries, *ids)[0], [picture(n).sha256 for n in range(20)], "anna")
    store.undo(event, "anna")
    until_nothing_is_due(worker)
    last = queries.last_clustering()
    assert last is not None
    assert (last.id, reason(queries)) == (2, "requested")
