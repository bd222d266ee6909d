"""Rounds: visible all at once or not at all, history only where something changed, and the past as it was."""

from __future__ import annotations

import multiprocessing
import os
from contextlib import nullcontext

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from storage import revisions as revisions_module
from storage.engine import open_engine
from storage.errors import Outdated, StorageError, StoreLocked
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.schema import assignments, cluster_rounds
from storage.store import Store
from tests.factories import Clock, assign, picture, pictures, round_of, sha


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions_module, "PIECE", 3)
    monkeypatch.setattr(revisions_module, "LOOKED_AT", 4)


def rows(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(assignments)).scalar_one()


def kinds(queries: Queries) -> dict[int, int]:
    current = queries.assignments()
    return dict(zip(current.picture_N.tolist(), current.cluster_N.tolist(), strict=True))


def test_round_is_visible(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(10)))
    one, two = store.allocate_clusters(2)
    wanted = {i: one if i < ids[5] else two for i in ids[:8]} | {ids[8]: None}
    clustering_id = store.add_clustering(round_of(wanted, probability=0.8))
    assert kinds(queries) == {i: -1 if kind is None else kind for i, kind in wanted.items()}
    last = queries.last_clustering()
    assert last is not None
    assert (last.id, last.encoder_version, last.through_picture, last.window_size) == (clustering_id, 1, ids[8], 9)
    assert last.parameters == {"k": 15}
    status = queries.status()
    assert (status.pictures, status.pending, status.unassigned, status.behind) == (10, 1, 1, 1)
    assert status.clusters == {"provisional": 0, "active": 2, "dormant": 0, "ended": 0}
    assert [(kind.id, kind.size, kind.core_size) for kind in queries.clusters()] == [(one, 5, 5), (two, 3, 3)]


def test_left_out_pictures_become_unassigned(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(10)))
    store.add_clustering(round_of({ids[0]: 1}, through=ids[8]))
    assert kinds(queries) == {ids[0]: 1} | dict.fromkeys(ids[1:9], -1)
    assert (queries.status().pending, queries.status().unassigned) == (1, 8)


def test_cluster_ids_are_never_given_twice(store: Store) -> None:
    assert list(store.allocate_clusters(3)) == [1, 2, 3]
    assert list(store.allocate_clusters(0)) == []
    assert list(store.allocate_clusters(2)) == [4, 5]


def test_history_grows_with_changes_only(store: Store, queries: Queries, engine: Engine) -> None:
    ids = store.add(pictures(range(7)))
    wanted: dict[int, int | None] = dict.fromkeys(ids, 1)
    store.add_clustering(round_of(wanted, probability=0.7))
    store.add_clustering(round_of(wanted, probability=0.9))
    assert rows(engine) == 7
    assert queries.assignments([ids[0]]).probability_N.tolist() == [np.float32(0.9)]
    store.add_clustering(round_of({**wanted, ids[2]: 2}))
    assert rows(engine) == 8
    store.add_clustering(round_of({**wanted, ids[2]: 2}, core={i: i != ids[3] for i in ids}))
    assert rows(engine) == 9


def test_last_mention_of_a_picture_counts(store: Store, queries: Queries) -> None:
    (i,) = store.add([picture(1)])
    first, second = assign({i: 1}), assign({i: 2})
    both = type(first)(
        *(np.concatenate([getattr(first, k), getattr(second, k)]) for k in ("picture_N", "cluster_N")),
        *(np.concatenate([getattr(first, k), getattr(second, k)]) for k in ("probability_N", "core_N")),
    )
    store.revise(both, [ClusterRecord(n, ClusterState.ACTIVE) for n in (1, 2)])
    assert kinds(queries) == {i: 2}


def test_unknown_pictures_are_left_out(store: Store, queries: Queries) -> None:
    (i,) = store.add([picture(1)])
    store.add_clustering(round_of({i: 1, 999: 1}, through=i))
    assert kinds(queries) == {i: 1}


def test_unknown_kind_is_refused_and_leaves_nothing(store: Store, queries: Queries, engine: Engine) -> None:
    (i,) = store.add([picture(1)])
    with pytest.raises(StorageError, match="kind 5"):
        store.add_clustering(round_of({i: 5}, clusters=[]))
    assert kinds(queries) == {}
    assert queries.last_clustering() is None
    store.add_clustering(round_of({i: 1}))
    assert rows(engine) == 1


# -------------------------------------------------------------------------- interrupted


class Killed(Exception):
    pass


def kill_after(store: Store, pieces: int) -> None:
    done = iter(range(pieces - 1))

    def pause(seconds: float) -> None:
        if next(done, None) is None:
            raise Killed

    store._revisions._pause = pause


def test_interrupted_round_is_invisible_and_cleaned_up(
    store: Store, queries: Queries, engine: Engine, clock: Clock
) -> None:
    ids = store.add(pictures(range(10)))
    before: dict[int, int | None] = dict.fromkeys(ids, 1)
    store.add_clustering(round_of(before))
    kill_after(store, 2)
    with pytest.raises(Killed):
        store.add_clustering(round_of(dict.fromkeys(ids, 2)))
    assert rows(engine) == 16, "two pieces of three pictures were written"
    assert kinds(queries) == before
    assert [(kind.id, kind.size) for kind in queries.clusters()] == [(1, 10)]
    assert {row.cluster_id for row in queries.export_rows()} == {1}
    assert len(queries.pictures(cluster=1)) == 10

    Store(engine, clock).add_clustering(round_of({**before, ids[0]: 3}))
    assert kinds(queries) == {**before, ids[0]: 3}
    assert rows(engine) == 11
    assert [(kind.id, kind.size) for kind in queries.clusters()] == [(1, 9), (3, 1)]


def die_in_the_middle(url: str, ids: list[int]) -> None:
    store = Store(open_engine(url))
    store._revisions._pause = lambda seconds: os._exit(9)
    revisions_module.PIECE = 3
    store.add_clustering(round_of(dict.fromkeys(ids, 2)))


def test_killed_process_leaves_nothing_visible(store: Store, queries: Queries, engine: Engine, url: str) -> None:
    ids = store.add(pictures(range(10)))
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    child = multiprocessing.get_context("spawn").Process(target=die_in_the_middle, args=(url, ids))
    child.start()
    child.join(30)
    assert child.exitcode == 9
    assert rows(engine) == 13
    assert set(kinds(queries).values()) == {1}
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    assert rows(engine) == 10


def test_correction_in_the_middle_makes_the_round_start_again(store: Store, queries: Queries, engine: Engine) -> None:
    ids = store.add(pictures(range(10)))
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    corrected: list[bool] = []

    def correct(seconds: float) -> None:
        if not corrected:
            corrected.append(True)
            other = Store(engine)
            other.revise(assign({ids[9]: 7}), [ClusterRecord(7, ClusterState.ACTIVE)], actor="anna")

    store._revisions._pause = correct
    store.add_clustering(round_of(dict.fromkeys(ids[:9], 2)))
    assert kinds(queries) == dict.fromkeys(ids[:9], 2) | {ids[9]: 7}
    assert [(kind.id, kind.size) for kind in queries.clusters()] == [(1, 0), (2, 9), (7, 1)]


def test_round_on_an_older_revision_is_refused(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(4)))
    base = queries.revision()
    store.revise(assign({ids[0]: 1}), [ClusterRecord(1, ClusterState.ACTIVE)], actor="anna")
    with pytest.raises(Outdated, match="read again"):
        store.add_clustering(round_of(dict.fromkeys(ids, 2)), base=base)
    assert kinds(queries) == {ids[0]: 1}
    store.add_clustering(round_of(dict.fromkeys(ids, 2)), base=queries.revision())
    assert set(kinds(queries).values()) == {2}


def certainties(queries: Queries) -> list[float]:
    found: list[float] = queries.assignments().probability_N.tolist()
    return found


def test_a_round_that_is_overtaken_leaves_no_certainty(store: Store, queries: Queries, engine: Engine) -> None:
    ids = store.add(pictures(range(6)))
    same: dict[int, int | None] = dict.fromkeys(ids, 1)
    store.add_clustering(round_of(same, probability=0.75))

    def overtake(seconds: float) -> None:
        Store(engine).revise(assign({}), actor="anna")

    store._revisions._pause = overtake
    with pytest.raises(Outdated):
        store.add_clustering(round_of(same, probability=0.25), base=queries.revision())
    assert certainties(queries) == [0.75] * 6


def test_new_certainties_are_seen_once_their_round_is(store: Store, queries: Queries, engine: Engine) -> None:
    ids = store.add(pictures(range(7)))
    same: dict[int, int | None] = dict.fromkeys(ids, 1)
    store.add_clustering(round_of(same, probability=0.75))
    seen: list[tuple[int, bool]] = []
    store._revisions._pause = lambda seconds: seen.append((queries.revision(), 0.25 in certainties(queries)))
    store.add_clustering(round_of(same, probability=0.25))
    assert {revision for revision, new in seen if new} == {2}
    assert certainties(queries) == [0.25] * 7
    assert rows(engine) == 7


@pytest.mark.parametrize("error", [Killed, StoreLocked])
def test_a_visible_round_stays_so_whatever_becomes_of_its_certainties(
    store: Store, queries: Queries, error: type[Exception]
) -> None:
    ids = store.add(pictures(range(7)))
    same: dict[int, int | None] = dict.fromkeys(ids, 1)
    store.add_clustering(round_of(same, probability=0.75))

    def fail_once_visible(seconds: float) -> None:
        if queries.revision() == 2:
            raise error

    store._revisions._pause = fail_once_visible
    with pytest.raises(Killed) if error is Killed else nullcontext():
        store.add_clustering(round_of({**same, ids[6]: 2}, probability=0.25))
    assert kinds(queries) == {**same, ids[6]: 2}
    assert certainties(queries) == [0.25] * 3 + [0.75] * 3 + [0.25]
    store._revisions._pause = lambda seconds: None
    store.add_clustering(round_of({**same, ids[6]: 2}, probability=0.25))
    assert certainties(queries) == [0.25] * 7


def test_what_people_do_before_all_certainties_are_written_keeps_its_own(
    store: Store, queries: Queries, clock: Clock
) -> None:
    ids = store.add(pictures(range(6)))
    same: dict[int, int | None] = dict.fromkeys(ids, *store.allocate_clusters(1))
    store.add_clustering(round_of(same, probability=0.75))
    before = clock.now
    corrected: list[int] = []

    def forget_and_move(seconds: float) -> None:
        if queries.revision() == 2 and not corrected:
            corrected.append(2)
            clock.tick()
            store.forget([sha(5)], "anna")  # whose row's number is given again
            store.move([sha(4)], None, "anna")

    store._revisions._pause = forget_and_move
    store.add_clustering(round_of(same, probability=0.25))
    assert kinds(queries) == {**dict.fromkeys(ids[:4], 1), ids[4]: 2}
    assert certainties(queries) == [0.25] * 4 + [1]
    assert queries.picture(sha(4), as_of=before).picture.probability == 0.75


# -------------------------------------------------------------------------- the past


def test_the_past_is_as_it_was(store: Store, queries: Queries, clock: Clock) -> None:
    times = [clock.now]
    clock.tick()
    ids = store.add(pictures(range(4)))
    emerged = [Event(EventType.EMERGED, cluster_id=1)]
    new = ClusterRecord(1, ClusterState.PROVISIONAL, exemplars=(ids[1],), coarser=3)
    store.add_clustering(round_of(dict.fromkeys(ids, 1), clusters=[new], events=emerged))
    times.append(clock.now)
    clock.tick()
    ids += store.add(pictures(range(4, 6)))
    clock.tick()
    store.add_events([Event(EventType.RENAMED, cluster_id=1, detail={"name": "moths"}, actor="anna")])
    times.append(clock.now)
    clock.tick()
    split = round_of(
        {i: 1 if i in ids[:2] else 2 for i in ids},
        clusters=[ClusterRecord(1, ClusterState.ACTIVE), ClusterRecord(2, ClusterState.PROVISIONAL, parents=(1,))],
        events=[Event(EventType.CONFIRMED, 1), Event(EventType.SPLIT, 1, (2,))],
    )
    store.add_clustering(split)
    times.append(clock.now)
    clock.tick()
    gone = round_of(
        dict.fromkeys(ids, 2),
        clusters=[ClusterRecord(1, ClusterState.ENDED), ClusterRecord(2, ClusterState.ACTIVE, parents=(1,))],
        events=[Event(EventType.ABSORBED, 1, (2,)), Event(EventType.CONFIRMED, 2)],
    )
    store.add_clustering(gone)
    times.append(clock.now)

    seen = [
        [(kind.id, kind.name, kind.state.value, kind.size) for kind in queries.clusters(as_of=at, include_ended=True)]
        for at in times
    ]
    assert seen == [
        [],
        [(1, "", "provisional", 4)],
        [(1, "moths", "provisional", 4)],
        [(1, "moths", "active", 2), (2, "", "provisional", 4)],
        [(1, "moths", "ended", 0), (2, "", "active", 6)],
    ]
    statuses = [[(row.status, row.cluster_id) for row in queries.export_rows(as_of=at)] for at in times]
    assert statuses == [
        [],
        [("clustered", 1)] * 4,
        [("clustered", 1)] * 4 + [("pending", None)] * 2,
        [("clustered", 1)] * 2 + [("clustered", 2)] * 4,
        [("clustered", 2)] * 6,
    ]
    assert [len(queries.pictures(cluster=1, as_of=at)) for at in times] == [0, 4, 4, 2, 0]
    first = queries.clusters(as_of=times[1])[0]
    assert (first.exemplars, first.coarser) == ((sha(1),), 3)
    assert queries.cluster(1, as_of=times[1]).children == ()
    assert queries.cluster(1, as_of=times[3]).children == (2,)


def test_history_grows_with_what_changes_and_not_with_rounds(
    store: Store, queries: Queries, engine: Engine, clock: Clock
) -> None:
    def measured(kind: int, cohesion: float, *exemplars: int) -> ClusterRecord:
        return ClusterRecord(kind, ClusterState.ACTIVE, exemplars=exemplars, statistics={"cohesion": cohesion})

    def rows() -> list[tuple[int, int]]:
        with engine.connect() as connection:
            kept = select(cluster_rounds.c.cluster_id, cluster_rounds.c.revision).order_by(
                cluster_rounds.c.revision, cluster_rounds.c.cluster_id
            )
            return [(row.cluster_id, row.revision) for row in connection.execute(kept)]

    ids = store.add(pictures(range(6)))
    halves: dict[int, int | None] = {i: 1 + n // 3 for n, i in enumerate(ids)}
    store.add_clustering(round_of(halves, clusters=[measured(1, 0.8, ids[0]), measured(2, 0.7, ids[3])]))
    (late,) = store.add(pictures([6]))
    clock.tick()
    grown = {**halves, late: 2}
    store.add_clustering(round_of(grown, clusters=[measured(1, 0.81, ids[0]), measured(2, 0.69, ids[3])]))
    then = clock.now
    clock.tick()
    store.add_clustering(round_of(grown, clusters=[measured(1, 0.82, ids[1]), measured(2, 0.68, ids[3])]))
    assert rows() == [(1, 1), (2, 1), (2, 2), (1, 3)]
    assert [(kind.id, kind.size, kind.exemplars) for kind in queries.clusters(as_of=then)] == [
        (1, 3, (sha(0),)),
        (2, 4, (sha(3),)),
    ]
    assert [dict(kind.statistics) for kind in queries.clusters()] == [{"cohesion": 0.82}, {"cohesion": 0.68}]


def test_now_is_the_newest_past(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(6)))
    events = [Event(EventType.EMERGED, 1), Event(EventType.CONFIRMED, 1), Event(EventType.EMERGED, 2)]
    records = [ClusterRecord(1, ClusterState.ACTIVE), ClusterRecord(2, ClusterState.PROVISIONAL)]
    store.add_clustering(round_of({i: 1 + i % 2 for i in ids}, clusters=records, events=events))
    clock.tick()
    named = Event(EventType.RENAMED, 2, detail={"name": "x"}, actor="anna")
    hidden = Event(EventType.HIDDEN, 1, actor="anna")
    store.add_events([named, hidden])
    assert queries.clusters(as_of=clock.now) == queries.clusters()
    assert list(queries.export_rows(as_of=clock.now)) == list(queries.export_rows())
    assert queries.pictures(as_of=clock.now) == queries.pictures()


def test_the_agent_never_renames(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    store.add_events([Event(EventType.RENAMED, 1, detail={"name": "moths"}, actor="anna")])
    store.add_clustering(
        round_of(dict.fromkeys(ids, 1), clusters=[ClusterRecord(1, ClusterState.ACTIVE, name="stale")])
    )
    assert queries.living_clusters()[0].name == "moths"


def test_undoing_brings_the_name_back(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    (first,) = store.add_events([Event(EventType.RENAMED, 1, detail={"name": "moths"}, actor="anna")])
    (second,) = store.add_events([Event(EventType.RENAMED, 1, detail={"name": "bats"}, actor="bob")])
    store.add_events([Event(EventType.UNDONE, detail={"event_id": second}, actor="anna")])
    assert queries.clusters()[0].name == "moths"
    (undo,) = store.add_events([Event(EventType.UNDONE, detail={"event_id": first}, actor="anna")])
    assert queries.clusters()[0].name == ""
    store.add_events([Event(EventType.UNDONE, detail={"event_id": undo}, actor="anna")])
    assert queries.clusters()[0].name == "moths"


def test_living_clusters_come_back_as_they_were_given(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(4)))
    records = [
        ClusterRecord(1, ClusterState.ACTIVE, "", (), 4, 2, ids[3], (ids[0], ids[2]), {"persistence": 0.5}),
        ClusterRecord(2, ClusterState.DORMANT, parents=(9, 1)),
        ClusterRecord(3, ClusterState.ENDED),
    ]
    store.add_clustering(round_of(dict.fromkeys(ids, 1), clusters=records))
    assert queries.living_clusters() == records[:2]


def test_first_and_last_seen_follow_the_members(store: Store, queries: Queries, clock: Clock) -> None:
    seen = []
    ids = []
    for n in range(3):
        seen.append(clock.now)
        ids += store.add([picture(n)])
        clock.tick(60)
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    assert [(kind.first_seen, kind.last_seen) for kind in queries.clusters()] == [(seen[0], seen[2])]
    store.add_clustering(round_of({ids[0]: 2, ids[1]: 1, ids[2]: None}))
    assert [(kind.first_seen, kind.last_seen) for kind in queries.clusters()] == [
        (seen[1], seen[1]),
        (seen[0], seen[0]),
    ]


def test_kinds_and_members_of_the_present(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(4)))
    one, two = store.allocate_clusters(2)
    store.add_clustering(round_of({ids[0]: one, ids[1]: two, ids[2]: None}))
    store.add_clustering(round_of({ids[0]: two, ids[1]: two}, through=ids[2]))
    assert queries.kinds_of([sha(i) for i in range(4)]) == {sha(0): two, sha(1): two}
    assert queries.said_members([one]).picture_N.tolist() == []
    assert queries.said_members([one, two]).picture_N.tolist() == ids[:2]
