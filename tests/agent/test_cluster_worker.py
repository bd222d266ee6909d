from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from agent import cluster_worker, observed
from agent.cluster_worker import CHOICE, ClusterWorker, _work, _work_on
from agent.clusterer import Clusterer
from agent.config import ClusterConfig
from agent.inquiries import Inquiry, as_values
from agent.partition import NONE, Partition
from agent.voters import Voters
from storage.errors import Outdated, Unreachable
from storage.queries import Queries
from storage.records import Event, EventType, PictureRecord
from storage.states import RECLUSTER, VOTERS
from storage.store import Store
from tests import factories
from tests.agent.shapes import drawn
from tests.factories import assign, look_at, picture

ORPHAN = """
import multiprocessing, os, signal, sys
from agent.cluster_worker import run_cluster_process
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
CONFIG = ClusterConfig(every=60, idle_s=5, near_copy=1.0)


def blob(numbers: range, centre: int) -> list[PictureRecord]:
    """Pictures whose innate vectors lie around one of the axes."""
    records = []
    for n in numbers:
        vector = np.random.default_rng(n).normal(0, 0.12, 16)
        vector[centre] += 1
        records.append(replace(picture(n), innate_D=vector.astype(np.float16)))
    return records


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stopwatch() -> Clock:
    return Clock()


@pytest.fixture
def worker(store: Store, queries: Queries, stopwatch: Clock) -> ClusterWorker:
    return ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)


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
    monkeypatch.setattr(cluster_worker, "POLL_S", 0.01)
    monkeypatch.setattr(cluster_worker, "LOOK_S", 60.0)
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
    monkeypatch.setattr(cluster_worker, "_worker", begin)
    stop, drain = threading.Event(), threading.Event()
    drain.set()
    _work_on(engine, CONFIG, 0, stop, drain)  # type: ignore[arg-type]
    assert quiet.asked == [True]


def test_what_the_clock_tells_is_asked_now_and_then(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_worker, "POLL_S", 0.01)
    monkeypatch.setattr(cluster_worker, "LOOK_S", 0.03)
    quiet, stop = Quiet(), threading.Event()
    working = threading.Thread(target=_work, args=(quiet, engine, stop, threading.Event()), daemon=True)
    working.start()
    deadline = time.monotonic() + 10
    while len(quiet.asked) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    working.join(10)
    assert len(quiet.asked) >= 3


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


def states(queries: Queries) -> list[str]:
    return [kind.state.value for kind in queries.clusters()]


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


@pytest.mark.parametrize("copies", [12, 150])
def test_pictures_that_are_all_one_burst_are_a_kind_that_votes(
    store: Store, queries: Queries, stopwatch: Clock, copies: int
) -> None:
    """Copies that differ by their bytes alone: there is one observation, and it has no neighbours."""
    config = ClusterConfig(every=60, idle_s=5, window=100)
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    (original,) = blob(range(1), 0)
    ids = store.add([replace(picture(n), innate_D=original.innate_D) for n in range(copies)])
    assert worker.step(draining=True)
    (kind,) = set(kinds_of(queries, *ids))
    ids += store.add([replace(picture(200), innate_D=original.innate_D)])
    assert worker.step()
    assert kinds_of(queries, ids[-1]) == [kind]


def test_a_vector_that_is_not_finite_keeps_nobody_else_from_being_sorted(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    (broken,) = store.add([replace(picture(80), innate_D=np.full(16, np.nan, dtype=np.float16))])
    assert worker.step()
    assert NONE not in kinds_of(queries, *ids)
    assert kinds_of(queries, broken) == [NONE]
    (voted,) = store.add(blob(range(100, 101), 1))
    store.add([replace(picture(101), innate_D=np.full(16, np.inf, dtype=np.float16))])
    assert worker.step()
    assert kinds_of(queries, voted) == kinds_of(queries, ids[79])
    restarted = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    assert restarted.step(draining=True)


def test_a_round_its_window_and_its_choice_become_visible_together(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is killed after a round can find its window to be the one before."""
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("SIGKILL")

    for later in ("set_state", "set_states"):
        monkeypatch.setattr(store, later, killed)
    assert worker.step()
    assert queries.window().tolist() == ids
    assert queries.state(CHOICE) == worker._clusterer.state_dict()


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


def until_nothing_is_due(worker: ClusterWorker) -> None:
    for _ in range(5):
        if not worker.step():
            return
    pytest.fail("there is always something to do")


def test_idle_pictures_get_their_round(worker: ClusterWorker, store: Store, stopwatch: Clock, queries: Queries) -> None:
    store.add([*blob(range(20), 0), *blob(range(20, 40), 1)])
    assert not worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    assert worker.step()
    assert queries.status().pending == 0


def test_neighbours_vote_between_rounds(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    first = queries.last_clustering()
    store.add(blob(range(100, 103), 1))
    assert worker.step()
    assert queries.last_clustering() == first
    current = queries.assignments()
    kind_of = dict(zip(current.picture_N.tolist(), current.cluster_N.tolist(), strict=True))
    assert {kind_of[i] for i in (81, 82, 83)} == {kind_of[60]}
    assert queries.status().pending == 0
    assert not worker.step()


def test_who_is_beyond_the_window_is_asked_between_rounds_and_after_a_restart(
    store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.beyond.PIECE", 8)
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step()
    one, other = (record.id for record in queries.living_clusters())
    members = queries.said_members([one]).picture_N.tolist()
    look_at(store, [i for i in range(1, 81) if i not in members[10:]])
    store.revise(assign({}), kept=as_values([Inquiry(one, (other,), 0, 80)]))
    restarted = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    assert restarted.step()
    assert len(queries.said_members([one]).picture_N) > 10, "a piece is not everyone"
    while restarted.step():
        pass
    assert queries.said_members([one]).picture_N.tolist() == members[:10]


def test_a_round_leaves_out_what_has_no_vectors_yet_and_takes_it_when_it_has(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    _, innate_ND = queries.innate(ids)
    version = store.begin_version("", {})
    store.add_embeddings(version, ids[:70], innate_ND[:70])
    store.publish_version(version)
    for _ in range(20):  # there is an end to it
        if not worker.step(draining=True):
            break
    else:
        raise AssertionError("rounds without anything new")
    last = queries.last_clustering()
    assert last is not None
    assert (last.through_picture, queries.status().pending) == (ids[69], 10)
    store.add_embeddings(version, ids[70:], innate_ND[70:])
    while worker.step(draining=True):
        pass
    assert (queries.status().pending, queries.status().behind) == (0, 0)
    assert len({kind.size for kind in queries.clusters()} - {0}) == 1, "forty each"


def test_a_new_encoder_version_is_clustered_and_ids_stay(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    before = queries.assignments()
    version = store.begin_version("", {})
    _, innate, _ = queries.embeddings(ids, 1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    store.add_embeddings(version, ids, (innate.astype(np.float64) @ rotation).astype(np.float16))
    store.publish_version(version)
    assert worker.step()
    last = queries.last_clustering()
    assert last is not None
    assert last.encoder_version == version
    assert queries.assignments().cluster_N.tolist() == before.cluster_N.tolist()


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


def test_a_correction_in_between_is_not_overwritten(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    kind = queries.living_clusters()[0].id
    store.add(blob(range(100, 170), 2))
    fit = worker._clusterer.fit

    def slow_fit(*arguments: object, **options: object) -> object:
        monkeypatch.undo()
        moved = Event(EventType.MOVED, kind, actor="somebody")
        store.revise(queries.assignments([1]), events=[moved], actor="somebody")
        return fit(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker._clusterer, "fit", slow_fit)
    with pytest.raises(Outdated):
        worker.round("every")
    assert worker.step()
    assert len(queries.living_clusters()) == 3


def test_a_restarted_worker_goes_on_with_its_choice(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    clusterer = Clusterer(CONFIG, np.random.default_rng(0))
    ClusterWorker(clusterer, store, queries, CONFIG, stopwatch)
    assert clusterer.state_dict() == worker._clusterer.state_dict()
    store.set_state(CHOICE, {"setting": "of an older agent"})
    assert ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step() is False


def test_a_kind_is_told_with_those_that_lie_nearest_to_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    """As people see them: the fourth kind lies between the first two, and is merged into the second."""
    between = [
        replace(one, innate_D=one.innate_D + lean) for one in blob(range(120, 160), 3) for lean in [toward(0, 1)]
    ]
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1), *blob(range(80, 120), 2), *between])
    worker.step()
    first, second, third, fourth = kinds_of(queries, ids[0], ids[40], ids[80], ids[120])
    store.rename(second, "moths", "anna")
    assert near(queries, first)[0] == (fourth, "")
    assert near(queries, third)[-1] == (fourth, "")
    store.merge([fourth], second, "anna")
    assert near(queries, first)[0] == (second, "moths")
    assert {first, third} <= {kind for kind, _ in near(queries, second)}
    worker.round("requested")
    assert near(queries, first)[0] == (second, "moths")


def toward(*axes: int) -> NDArray[np.float16]:
    lean = np.zeros(16, dtype=np.float16)
    lean[list(axes)] = 0.5
    return lean


def near(queries: Queries, kind: int) -> list[tuple[int, str]]:
    return [(row.cluster_id, row.cluster_name) for row in queries.cluster(kind).neighbours]


# -------------------------------------------------------------------------- people's corrections


def kinds_of(queries: Queries, *picture_ids: int) -> list[int]:
    found: list[int] = queries.assignments(picture_ids).cluster_N.tolist()
    return found


def test_rounds_votes_and_versions_respect_a_merge_and_undoing_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event = store.merge([two], one, "anna")
    (voted,) = store.add(blob(range(100, 101), 1))
    worker.step()
    assert kinds_of(queries, voted) == [one]
    later = store.add(blob(range(120, 200), 1))
    worker.step()
    assert set(kinds_of(queries, *ids, *later)) == {one}
    publish_rotated(store, queries)
    worker.step()
    assert set(kinds_of(queries, *ids, *later)) == {one}
    store.undo(event, "anna")
    assert set(kinds_of(queries, *ids[40:], voted, *later)) == {two}
    worker.round("requested")
    assert set(kinds_of(queries, *ids[:40])) == {one}
    assert set(kinds_of(queries, *ids[40:], voted, *later)) == {two}


class Drawn(Clusterer):
    """A clusterer that finds what it is told."""

    def __init__(self, config: ClusterConfig) -> None:
        super().__init__(config, np.random.default_rng(0))
        self.label_of: dict[int, int] = {}

    def fit(self, ids_N: NDArray[np.int64], *_: object, **__: object) -> Partition:  # type: ignore[override]
        return drawn({int(picture): self.label_of.get(int(picture), NONE) for picture in ids_N})

    def voters(self, *_: object) -> None:  # type: ignore[override]
        return None

    def near(self, *_: object) -> dict[int, list[tuple[int, float]]]:  # type: ignore[override]
        return {}

    def valley(self, *_: object) -> float:
        return 0.0


def test_what_comes_off_a_merged_kind_is_no_kind_and_no_news(store: Store, queries: Queries, stopwatch: Clock) -> None:
    """Round after round, a part of the part too; undoing the merge shows what the agent says by then."""
    config = CONFIG.model_copy(update={"every": 10, "dormant_after": 12})
    clusterer = Drawn(config)
    worker = ClusterWorker(clusterer, store, queries, config, stopwatch)

    def comes(numbers: range, label: int) -> list[int]:
        ids = store.add([picture(number) for number in numbers])
        clusterer.label_of |= dict.fromkeys(ids, label)
        return ids

    one_ids, two_ids = comes(range(40), 0), comes(range(40, 80), 1)
    worker.step()
    comes(range(80, 92), 1)
    worker.step()
    one, two = kinds_of(queries, one_ids[0], two_ids[0])
    store.rename(two, "moths", "anna")
    event = store.merge([one], two, "anna")
    for whole, label in ((0, 2), (2, 3)):
        members = [picture for picture, kind in clusterer.label_of.items() if kind == whole]
        clusterer.label_of |= dict.fromkeys(members[: len(members) * 2 // 5], label)
        for among in (whole, label, whole):  # seen once, split off at the second sight, confirmed
            comes(range(len(clusterer.label_of), len(clusterer.label_of) + 12), among)
            worker.step()
            assert [(kind.id, kind.name) for kind in queries.clusters()] == [(two, "moths")]
            assert queries.clusters()[0].size == len(clusterer.label_of)
    first, second = queries.history(type="split")
    assert first.cluster_id == one
    assert second.cluster_id == first.other_ids[0]
    for told in (first, second):
        assert told.detail == {"seen_in": {str(told.other_ids[0]): two}}
    assert {told.cluster_id for told in queries.history(type="emerged")} == {one, two}
    assert two not in {told.cluster_id for told in queries.history(type="dormant")}
    store.undo(event, "anna")
    assert {kind.id for kind in queries.clusters()} == {one, two, first.other_ids[0], second.other_ids[0]}
    worker.round("requested")
    assert len(queries.clusters()) == 4


def test_pictures_stay_where_people_put_them_through_a_new_version(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event, _ = store.move([picture(0).sha256], two, "anna")
    _, made = store.divide(one, [picture(1).sha256, picture(2).sha256], "anna")
    for _ in range(CONFIG.patience + 1):
        worker.round("requested")
    publish_rotated(store, queries)
    worker.step()
    assert kinds_of(queries, *ids[:4]) == [two, made, made, one]
    assert {kind.id for kind in queries.clusters()} == {one, two, made}
    store.undo(event, "bob")
    assert kinds_of(queries, ids[0]) == [one]


def test_a_kind_that_people_make_grow_is_not_dormant(store: Store, queries: Queries, stopwatch: Clock) -> None:
    config = CONFIG.model_copy(update={"dormant_after": 100})
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    _, made = store.move([picture(0).sha256, picture(1).sha256], None, "anna")
    (two,) = kinds_of(queries, ids[79])
    store.merge([two], made, "anna")
    for start in (100, 200, 300):
        store.add(blob(range(start, start + 80), 1))
        worker.round("requested")
    states = {kind.id: (kind.state, kind.size) for kind in queries.clusters()}
    assert states[made][0] == "active"
    assert states[made][1] > 270


def test_a_round_that_was_void_leaves_no_votes_behind(
    store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"strangers": 1.0})
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    store.add(blob(range(100, 130), 2))
    worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    add = store.add_clustering

    def overtaken(*arguments: object, **options: object) -> int:
        monkeypatch.setattr(store, "add_clustering", add)
        store.move([picture(0).sha256], kinds_of(queries, ids[79])[0], "anna")
        return add(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "add_clustering", overtaken)
    assert worker.step()
    store.add(blob(range(140, 141), 2))
    assert not worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    assert worker.step()
    assert len(queries.clusters()) == 3


def publish_rotated(store: Store, queries: Queries) -> None:
    """A version under which everything lies elsewhere, and as far apart as before."""
    ids = queries.assignments().picture_N
    version = store.begin_version("", {})
    _, innate, _ = queries.embeddings(ids, 1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    store.add_embeddings(version, ids.tolist(), (innate.astype(np.float64) @ rotation).astype(np.float16))
    store.publish_version(version)


def test_pictures_like_those_of_a_kind_that_people_made_follow_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    """What people left where it was stays; once there are many, they are that kind and no other one."""
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    few = store.add(blob(range(200, 206), 2))
    worker.step()
    left = kinds_of(queries, *few[3:])
    _, fox = store.move([picture(n).sha256 for n in (200, 201, 202)], None, "anna")
    worker.round("requested")
    assert kinds_of(queries, *few) == [fox, fox, fox, *left]
    (voted,) = store.add(blob(range(210, 211), 2))
    worker.step()
    assert kinds_of(queries, voted) == [fox]
    many = store.add(blob(range(220, 300), 2))
    worker.step()
    assert set(kinds_of(queries, *many, *few, voted)) == {fox}
    known = next(kind for kind in queries.clusters() if kind.id == fox)
    assert known.size == 87
    assert known.core_size > 40
    assert {event.type for event in queries.history()} <= {"emerged", "confirmed", "moved"}
    assert len(queries.clusters()) == 3


def test_what_followed_is_free_again_when_the_kind_is_undone(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event, made = store.divide(one, [picture(n).sha256 for n in range(20)], "anna")
    new = store.add(blob(range(100, 160), 0))
    worker.step()
    followed = [i for i, kind in zip(new, kinds_of(queries, *new), strict=True) if kind == made]
    assert len(followed) > 5
    assert kinds_of(queries, *ids) == [made] * 20 + [one] * 20 + [two] * 40
    assert not worker.step()
    store.undo(event, "anna")
    assert kinds_of(queries, *ids[:20]) == [one] * 20
    assert set(kinds_of(queries, *followed)) == {NONE}
    assert queries.state(RECLUSTER)
    worker.round("requested")
    assert set(kinds_of(queries, *ids[:40], *new)) == {one}
    assert store.undo(max(event.id for event in queries.history()), "anna")
    assert kinds_of(queries, *ids[:20]) == [made] * 20


def test_nobody_is_voted_into_a_kind_that_people_unmake_meanwhile(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    store.add(blob(range(200, 206), 2))
    worker.step()
    event, made = store.move([picture(n).sha256 for n in (200, 201, 202)], None, "anna")
    worker.round("requested")
    (late,) = store.add(blob(range(210, 211), 2))
    vote = Clusterer.vote

    def unmade_meanwhile(self: Clusterer, *vectors: Any) -> Any:
        store.undo(event, "anna")
        return vote(self, *vectors)

    with monkeypatch.context() as patch:
        patch.setattr(Clusterer, "vote", unmade_meanwhile)
        worker.step()
    assert late not in queries.said_members([made]).picture_N


def test_a_round_sends_nobody_beyond_the_window_to_a_kind_that_people_unmade(
    store: Store, queries: Queries, stopwatch: Clock
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step()
    one = queries.living_clusters()[0].id
    event, made = store.move([picture(79).sha256], None, "anna")
    store.revise(assign({}), kept=as_values([Inquiry(one, (made,), 0, 80)]))
    small = CONFIG.model_copy(update={"window": 60})
    worker = ClusterWorker(Clusterer(small, np.random.default_rng(0)), store, queries, small, stopwatch)
    store.undo(event, "anna")
    worker.round("requested")
    assert len(queries.said_members([made]).picture_N) == 0


def test_pictures_that_were_taught_before_their_first_round_lead_too(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    taught = store.teach("fox", [picture(3).sha256], "anna")
    worker.step()
    assert set(kinds_of(queries, *ids[:40])) == {taught.cluster_id}
    assert len(queries.clusters()) == 2


@pytest.mark.parametrize("kept_from", [20, 4_096], ids=["a window that is kept", "a window that is made anew"])
def test_a_picture_that_was_forgotten_leaves_the_window_and_what_rounds_keep(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch, kept_from: int
) -> None:
    monkeypatch.setattr(observed, "SPACE_ROWS", kept_from)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    gone = queries.living_clusters()[0].exemplars[0]
    store.forget([picture(ids.index(gone)).sha256], "anna")
    worker.round("requested")
    votes = queries.state(VOTERS)
    assert isinstance(votes, dict)
    assert gone not in Voters.of_state(votes).ids_N
    assert [kind.id for kind in queries.living_clusters() if gone in kind.exemplars] == []
    assert queries.last_clustering().window_size == 79  # type: ignore[union-attr]


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
