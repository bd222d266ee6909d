"""The map between rounds: when it is made, of what, and that it stays put."""

from __future__ import annotations

import numpy as np
import pytest

from agent import map_maker
from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.config import ClusterConfig
from agent.layout import Layout
from agent.map_maker import MapMaker
from storage.queries import Queries
from storage.store import Store
from tests.agent.rounds import Clock, blob, publish_rotated
from tests.factories import sha

CONFIG = ClusterConfig(every=60, idle_s=5, near_copy=1.0, window=100)


@pytest.fixture
def stopwatch() -> Clock:
    return Clock()


def worker_of(store: Store, queries: Queries, stopwatch: Clock, config: ClusterConfig = CONFIG) -> ClusterWorker:
    clusterer = Clusterer(config, np.random.default_rng(0))
    maker = MapMaker(clusterer, store, queries, config, np.random.default_rng(0), stopwatch)
    return ClusterWorker(clusterer, store, queries, config, stopwatch, maker)


@pytest.fixture
def worker(store: Store, queries: Queries, stopwatch: Clock) -> ClusterWorker:
    return worker_of(store, queries, stopwatch)


def drain(worker: ClusterWorker) -> int:
    """Steps until there is nothing left to do."""
    steps = 0
    while worker.step(draining=True):
        steps += 1
    return steps


def displaced(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.median(np.linalg.norm(before - after, axis=1)) / np.ptp(before, axis=0).max())


def test_the_map_of_the_last_round_is_there_when_all_is_done(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    assert drain(worker) == 3  # two rounds, the second to examine the kinds of the first, and the map
    place = queries.layout(ids)
    assert np.isfinite(place).all()
    apart = np.linalg.norm(place[:40].mean(axis=0) - place[40:].mean(axis=0))
    assert apart > 2 * max(np.linalg.norm(half - half.mean(axis=0), axis=1).mean() for half in (place[:40], place[40:]))
    assert drain(worker) == 0


def test_it_stays_put_through_rounds_a_restart_and_a_new_version(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    drain(worker)
    first = queries.layout(ids)
    (new,) = store.add(blob(range(100, 101), 1))
    drain(worker_of(store, queries, stopwatch))
    assert displaced(first, queries.layout(ids)) < 0.1
    assert np.linalg.norm(queries.layout([new]) - first[40:].mean(axis=0)) < np.ptp(first[40:], axis=0).max()
    publish_rotated(store, queries)
    drain(worker)
    assert displaced(first, queries.layout(ids)) < 0.1
    assert (first != queries.layout(ids)).all()


def test_rounds_and_votes_come_first_and_maps_take_their_share(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch(layout: object) -> bool:
        stopwatch.now += 0.5
        return stopwatch.now < 3

    monkeypatch.setattr(Layout, "step", epoch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    assert worker.step()
    assert worker.step()
    later = store.add(blob(range(100, 170), 1))
    assert worker.step()
    last = queries.last_clustering()
    assert last is not None
    assert last.through_picture == later[-1]
    while worker.step():
        pass
    assert np.isfinite(queries.layout([*ids, *later])).all()
    assert queries.state(map_maker.STATE) == 1  # later ones came when it was begun, and lie among their neighbours
    stopwatch.now += 3 / CONFIG.map_share - 3 - 2
    assert not worker.map_step()
    stopwatch.now += 3
    assert worker.map_step()


def test_a_map_that_was_cut_short_is_made_after_a_restart(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_maker, "SLICE_S", 0)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    assert worker.step()
    assert worker.step()
    assert np.isnan(queries.layout(ids)).all()
    drain(worker_of(store, queries, stopwatch))
    assert np.isfinite(queries.layout(ids)).all()
    assert drain(worker_of(store, queries, stopwatch)) == 0
    last = queries.last_clustering()
    assert last is not None
    assert last.parameters["reason"] == "drain"  # which examines the new kinds, once


def test_pictures_outside_the_window_lie_among_their_neighbours(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_maker, "PAGE", 60)
    ids = store.add([*blob(range(90), 0), *blob(range(100, 190), 1)])
    drain(worker)
    outside = np.setdiff1d(ids, queries.window())
    assert len(outside) == 80
    place, of_window = queries.layout(outside), queries.layout(queries.window())
    middle = [of_window[queries.window() <= ids[89]].mean(axis=0), of_window[queries.window() > ids[89]].mean(axis=0)]
    nearer = np.linalg.norm(place - middle[0], axis=1) < np.linalg.norm(place - middle[1], axis=1)
    assert (nearer == (outside <= ids[89])).all()


def test_near_copies_lie_beside_each_other(store: Store, queries: Queries, stopwatch: Clock) -> None:
    config = CONFIG.model_copy(update={"near_copy": 0.9, "near_copy_centred": 0.95})
    records = blob(range(40), 0)
    copies = blob(range(40, 50), 1)
    for record in copies:
        object.__setattr__(record, "innate_D", copies[0].innate_D)
    ids = store.add([*records, *copies])
    drain(worker_of(store, queries, stopwatch, config))
    place = queries.layout(ids[40:])
    assert 0 < np.ptp(place, axis=0).max() < 0.2


def test_what_was_forgotten_meanwhile_is_not_on_the_map(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_maker, "SLICE_S", 0)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    for _ in range(3):
        worker.step()
    store.forget([sha(3)], "anna")
    drain(worker)
    assert np.isnan(queries.layout(ids)[:, 0]).tolist() == [i == ids[3] for i in ids]


def test_without_a_share_there_is_no_map(store: Store, queries: Queries, stopwatch: Clock) -> None:
    without = worker_of(store, queries, stopwatch, CONFIG.model_copy(update={"map_share": 0.0}))
    ids = store.add(blob(range(70), 0))
    assert drain(without) == 2  # the second one examines what the first found
    assert np.isnan(queries.layout(ids)).all()


def test_few_pictures_have_a_map_too(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    ids = store.add(blob(range(3), 0))
    drain(worker)
    assert np.isfinite(queries.layout(ids)).all()
