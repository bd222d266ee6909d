"""What people ask: kinds, history, pictures."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.errors import NotFound, StorageError
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.store import Store
from tests.factories import EPOCH, Clock, pictures, rejection, round_of, sha


def test_ended_kinds_are_listed_when_asked_for(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(2)))
    records = [
        ClusterRecord(1, ClusterState.ENDED),
        ClusterRecord(2, ClusterState.ACTIVE, parents=(1,), exemplars=(ids[1], 99)),
    ]
    store.add_clustering(round_of(dict.fromkeys(ids, 2), clusters=records))
    (living,) = queries.clusters()
    assert (living.id, living.parents, living.exemplars) == (2, (1,), (sha(1),))
    assert [kind.id for kind in queries.clusters(include_ended=True)] == [1, 2]
    assert queries.cluster(1).children == (2,)
    assert queries.cluster(1).cluster.state is ClusterState.ENDED
    assert queries.status().clusters == {"provisional": 0, "active": 1, "dormant": 0, "ended": 1}


def test_unknown_kind_is_named(queries: Queries) -> None:
    with pytest.raises(NotFound, match="kind 42"):
        queries.cluster(42)


def test_borderline_members_come_least_certain_first(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    store.add_clustering(round_of(dict.fromkeys(ids, 1), probability=0.9))
    store.add_clustering(round_of({ids[1]: 1}, probability=0.6, through=ids[2]))
    detail = queries.cluster(1)
    assert [row.sha256 for row in detail.borderline] == [sha(1), sha(0), sha(2)]


def test_history_by_type_time_and_kind(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(2)))
    emerged = [Event(EventType.EMERGED, 1, detail={"size": 2}), Event(EventType.SPLIT, 1, (3, 2))]
    clustering_id = store.add_clustering(round_of(dict.fromkeys(ids, 1), events=emerged))
    later = clock.tick()
    (event_id,) = store.add_events([Event(EventType.RENAMED, 1, detail={"name": "a"}, actor="anna")])
    assert [event.type for event in queries.history()] == ["emerged", "split", "renamed"]
    first, split, renamed = queries.history()
    assert (first.clustering_id, first.encoder_version, first.actor) == (clustering_id, 1, "agent")
    assert first.detail == {"size": 2}
    assert split.other_ids == (3, 2)
    assert (renamed.id, renamed.at, renamed.actor, renamed.clustering_id) == (event_id, later, "anna", None)
    assert queries.history(since=later) == [renamed]
    assert queries.history(until=EPOCH) == [first, split]
    assert queries.history(type="split") == queries.history(type=EventType.SPLIT) == [split]
    assert queries.history(cluster=2) == [split]
    assert queries.history(cluster=1) == [first, split, renamed]
    assert queries.history(limit=1) == [renamed]


def test_pictures_by_status_kind_and_time(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(6)), rejections=[rejection("/bad.jpg", sha(9))])
    store.add_clustering(round_of({ids[0]: 1, ids[1]: 2, ids[2]: 1, ids[3]: None}))

    def shown(**asked: object) -> list[int | None]:
        return [row.id for row in queries.pictures(**asked)]  # type: ignore[arg-type]

    assert shown() == ids
    assert shown(cluster=1) == [ids[0], ids[2]]
    assert shown(status="clustered") == ids[:3]
    assert shown(unassigned=True) == shown(status="unassigned") == [ids[3]]
    assert shown(status="pending") == ids[4:]
    assert shown(limit=2, after=ids[1]) == ids[2:4]
    taken = queries.pictures()[2].captured_at
    assert shown(since=taken, until=taken + timedelta(seconds=1)) == ids[2:4]
    (rejected,) = queries.pictures(status="rejected")
    assert (rejected.id, rejected.sha256, rejected.uri, rejected.reason) == (None, sha(9), "/bad.jpg", "cut off")
    assert shown(status="rejected", cluster=1) == []
    with pytest.raises(StorageError, match="choose one of"):
        queries.pictures(status="lost")


def test_picture_without_a_place_is_still_listed(store: Store, queries: Queries) -> None:
    store.add(pictures(range(1)))
    store.mark_missing(["/pictures/0.jpg"])
    (row,) = queries.pictures()
    assert (row.sha256, row.uri) == (sha(0), "")


def test_times_need_a_zone(store: Store, queries: Queries) -> None:
    with pytest.raises(Exception, match="time zone"):
        queries.clusters(as_of=EPOCH.replace(tzinfo=None))


def test_many_ids_in_one_question(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(2500)))
    found_N, innate_ND, _ = queries.embeddings(ids, 1)
    assert found_N.tolist() == ids
    assert len(innate_ND) == 2500
    assert len(queries.known([f"/pictures/{n}.jpg" for n in range(2500)])) == 2500


def test_sizes_are_told_by_kind_and_time_as_far_as_they_were_visible(
    store: Store, queries: Queries, clock: Clock
) -> None:
    ids = store.add(pictures(range(10)))
    one, two = store.allocate_clusters(2)
    store.add_clustering(round_of(dict.fromkeys(ids, one)))
    then = clock.now
    clock.tick()
    kinds = [ClusterRecord(one, ClusterState.ACTIVE), ClusterRecord(two, ClusterState.ACTIVE)]
    store.add_clustering(round_of(dict.fromkeys(ids[:2], two), clusters=kinds, through=ids[-1]))
    told = [(row.cluster_id, row.at, row.size) for row in queries.sizes()]
    assert told == [(one, then, 10), (one, clock.now, 8), (two, clock.now, 2)]
    assert [(row.cluster_id, row.size) for row in queries.sizes(then)] == [(one, 10)]
