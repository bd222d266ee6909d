"""What people say of kinds: one fact, one event, refused where it makes no sense, and undone in any order."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, select

from storage.errors import NotFound, Refused
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.schema import corrections
from storage.store import Store
from tests.factories import Clock, pictures, round_of


@pytest.fixture
def kinds(store: Store) -> tuple[int, int, int]:
    """Two kinds with three pictures each, and one that has ended."""
    ids = store.add(pictures(range(6)))
    one, two, gone = store.allocate_clusters(3)
    records = [ClusterRecord(one, ClusterState.ACTIVE), ClusterRecord(two, ClusterState.ACTIVE)]
    records.append(ClusterRecord(gone, ClusterState.ENDED))
    wanted = {i: one if i < ids[3] else two for i in ids}
    absorbed = Event(EventType.ABSORBED, gone, (one,))
    store.add_clustering(round_of(wanted, clusters=records, events=[absorbed]))
    return one, two, gone


def names(queries: Queries) -> dict[int, str]:
    return {kind.id: kind.name for kind in queries.clusters() if kind.name}


def facts(engine: Engine) -> list[tuple[str, bool]]:
    with engine.connect() as connection:
        rows = connection.execute(select(corrections.c.type, corrections.c.active).order_by(corrections.c.id))
        return [(row.type, row.active) for row in rows]


def test_a_name_is_one_fact_and_one_event(
    store: Store, queries: Queries, engine: Engine, kinds: tuple[int, int, int]
) -> None:
    event = store.rename(kinds[0], "  moths ", "anna")
    assert names(queries) == {kinds[0]: "moths"}
    assert facts(engine) == [("renamed", True)]
    last = queries.history()[-1]
    assert (last.id, last.type, last.actor, last.cluster_id) == (event, EventType.RENAMED, "anna", kinds[0])
    assert last.detail == {"name": "moths", "was": ""}


def test_an_empty_name_takes_it_away(store: Store, queries: Queries, kinds: tuple[int, int, int]) -> None:
    store.rename(kinds[0], "moths", "anna")
    store.rename(kinds[0], "", "bob")
    assert names(queries) == {}


def test_a_name_outlives_later_rounds(store: Store, queries: Queries, kinds: tuple[int, int, int]) -> None:
    store.rename(kinds[0], "moths", "anna")
    ids = queries.assignments().picture_N.tolist()
    store.add_clustering(round_of(dict.fromkeys(ids, kinds[0])))
    assert names(queries) == {kinds[0]: "moths"}


def test_hiding_and_showing(store: Store, queries: Queries, kinds: tuple[int, int, int]) -> None:
    store.hide(kinds[1], "anna")
    assert [kind.hidden for kind in queries.clusters()] == [False, True]
    store.hide(kinds[1], "anna", hidden=False)
    assert [kind.hidden for kind in queries.clusters()] == [False, False]


def test_what_makes_no_sense_is_refused_and_changes_nothing(
    store: Store, queries: Queries, engine: Engine, kinds: tuple[int, int, int]
) -> None:
    one, two, gone = kinds
    store.rename(one, "moths", "anna")
    before = len(queries.history())
    for says, correct in (
        ("called 'moths' already", lambda: store.rename(one, "moths", "bob")),
        (f"kind {one} is called 'moths' already; choose", lambda: store.rename(two, "moths", "bob")),
        (f"`cluster {gone}` tells where", lambda: store.rename(gone, "bats", "bob")),
        ("at most 200 characters", lambda: store.rename(two, "x" * 201, "bob")),
        ("cannot be printed", lambda: store.rename(two, "a\nb", "bob")),
        ("has no name already", lambda: store.rename(two, " ", "bob")),
        ("is shown already", lambda: store.hide(two, "bob", hidden=False)),
        ("'absorbed' by agent; only people's", lambda: store.undo(1, "bob")),
    ):
        with pytest.raises(Refused, match=says):
            correct()
    for missing in (lambda: store.rename(99, "x", "bob"), lambda: store.hide(99, "bob"), lambda: store.undo(99, "bob")):
        with pytest.raises(NotFound):
            missing()
    assert len(queries.history()) == before
    assert facts(engine) == [("renamed", True)]


def test_corrections_are_undone_in_any_order(
    store: Store, queries: Queries, engine: Engine, kinds: tuple[int, int, int]
) -> None:
    one = kinds[0]
    first, second = store.rename(one, "moths", "anna"), store.rename(one, "bats", "bob")
    store.hide(one, "bob")
    undone = store.undo(first, "anna")
    assert names(queries) == {one: "bats"}
    store.undo(second, "anna")
    assert names(queries) == {}
    store.undo(undone, "anna")
    assert names(queries) == {one: "moths"}
    assert facts(engine) == [
        ("renamed", True), ("renamed", False), ("hidden", True), ("undone", False), ("undone", True), ("undone", True),
    ]  # fmt: skip


def test_what_was_undone_is_not_undone_again(store: Store, kinds: tuple[int, int, int]) -> None:
    event = store.rename(kinds[0], "moths", "anna")
    undone = store.undo(event, "anna")
    with pytest.raises(Refused, match=f"undone by event {undone} already; `undo {undone}`"):
        store.undo(event, "bob")


def test_undo_gives_no_two_kinds_one_name(store: Store, queries: Queries, kinds: tuple[int, int, int]) -> None:
    one, two, _ = kinds
    store.rename(one, "moths", "anna")
    away = store.rename(one, "bats", "anna")
    store.rename(two, "moths", "bob")
    with pytest.raises(Refused, match=f"without event {away} kind {one} would be 'moths' again, but kind {two}"):
        store.undo(away, "anna")
    assert names(queries) == {one: "bats", two: "moths"}


def test_what_was_believed_before_stays(
    store: Store, queries: Queries, clock: Clock, kinds: tuple[int, int, int]
) -> None:
    store.rename(kinds[0], "moths", "anna")
    then = clock.now
    clock.tick(60)
    store.rename(kinds[0], "bats", "anna")
    assert queries.cluster(kinds[0], as_of=then).cluster.name == "moths"


def test_of_two_people_at_once_one_is_told(store: Store, queries: Queries, kinds: tuple[int, int, int]) -> None:
    said: list[str] = []
    ready = threading.Barrier(2)

    def name(kind: int, person: str) -> None:
        ready.wait()
        try:
            store.rename(kind, "moths", person)
        except Refused as error:
            said.append(str(error))

    people = [threading.Thread(target=name, args=(kind, f"person {kind}")) for kind in kinds[:2]]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert len(said) == 1
    assert "choose another name" in said[0]
    assert len(names(queries)) == 1
