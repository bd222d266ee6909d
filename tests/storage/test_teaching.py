"""A few examples name a kind or make one, as one correction that rounds respect and that can be undone."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from storage.errors import NotFound, Refused
from storage.queries import Queries
from storage.records import ClusterState, EventType
from storage.store import Store
from storage.teaching import Did, Hints
from tests.factories import Clock, pictures, sha
from tests.storage.test_placing import counted_right, kinds, next_round, said, states

ONE, TWO = 1, 2
WHERE = [1, 1, 1, 2, 2, 2, None, None, None, None]


@pytest.fixture
def ids(store: Store, queries: Queries) -> list[int]:
    """Ten pictures: three in each of two kinds, four nowhere."""
    ids = store.add(pictures(range(10)))
    store.allocate_clusters(2)
    next_round(store, queries, dict(zip(ids, WHERE, strict=True)))
    return ids


def names(queries: Queries) -> dict[int, str]:
    return {kind: name for kind, name in queries.names().items() if name}


# -------------------------------------------------------------------------- which kind


def test_the_kind_that_most_fall_in_gets_the_name_and_the_rest(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    taught = store.teach("moths", [sha(0), sha(1), sha(3), sha(6)], "anna")
    assert (taught.did, taught.cluster_id, taught.pictures, taught.moved) == (Did.NAMED, ONE, 4, 2)
    assert kinds(queries) == [1, 1, 1, 1, 2, 2, 1, -1, -1, -1]
    assert said(queries) == [1, 1, 1, 2, 2, 2, -1, -1, -1, -1]
    assert names(queries) == {ONE: "moths"}
    told = queries.history()[-1]
    assert (told.id, told.type, told.actor, told.cluster_id) == (taught.event_id, EventType.TAUGHT, "anna", ONE)
    assert told.detail["from"] == {"-1": 1, "1": 2, "2": 1}
    assert counted_right(engine)


def test_one_example_is_enough(store: Store, queries: Queries, ids: list[int]) -> None:
    taught = store.teach("moths", [sha(4)[:8]], "anna")
    assert (taught.did, taught.cluster_id, taught.moved) == (Did.NAMED, TWO, 0)
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, -1, -1, -1, -1]


def test_what_falls_in_none_becomes_a_kind_with_what_lies_around(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    """What people have placed, and what has a kind by now, does not come along."""
    store.move([sha(8)], ONE, "bob")
    around = {ids[6]: [ids[6], ids[7], ids[8], ids[0], 999]}
    taught = store.teach("moths", [sha(6), sha(9), sha(3)], "anna", hints=Hints(around=around))
    assert (taught.did, taught.pictures, taught.moved, taught.around) == (Did.MADE, 3, 3, 1)
    new = taught.cluster_id
    assert kinds(queries) == [1, 1, 1, new, 2, 2, new, new, 1, new]
    assert names(queries) == {new: "moths"}
    assert states(queries)[new] is ClusterState.ACTIVE
    assert counted_right(engine)


def test_as_many_in_a_kind_as_in_none_are_enough(store: Store, queries: Queries, ids: list[int]) -> None:
    assert store.teach("moths", [sha(0), sha(6)], "anna").cluster_id == ONE


def test_further_examples_of_a_kind_that_has_the_name(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(TWO, "moths", "anna")
    taught = store.teach(" moths ", [sha(0), sha(1), sha(7)], "anna")
    assert (taught.did, taught.cluster_id, taught.moved) == (Did.ADDED, TWO, 3)
    assert kinds(queries) == [2, 2, 1, 2, 2, 2, -1, 2, -1, -1]


def test_pictures_that_wait_fall_where_their_neighbours_vote(store: Store, queries: Queries, ids: list[int]) -> None:
    late = store.add(pictures([20, 21]))
    taught = store.teach("moths", [sha(20), sha(21)], "anna", hints=Hints(votes={late[0]: TWO, late[1]: 77}))
    assert (taught.did, taught.cluster_id, taught.moved) == (Did.NAMED, TWO, 1)
    assert kinds(queries)[-2:] == [2, 2]


# -------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "shas", "says"),
    [
        ("moths", [sha(0), sha(3)], "as many pictures fall in each of the kinds 1, 2; show more"),
        ("  ", [sha(0)], "give one that is not empty"),
        ("a\nb", [sha(0)], "cannot be printed"),
        ("moths", [], "no picture was named"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    store: Store, queries: Queries, ids: list[int], name: str, shas: list[str], says: str
) -> None:
    before = queries.revision()
    with pytest.raises(Refused, match=says):
        store.teach(name, shas, "anna")
    assert (queries.revision(), names(queries)) == (before, {})
    with pytest.raises(NotFound):
        store.teach("moths", [sha(77)], "anna")


def test_a_kind_keeps_its_name_unless_told_otherwise(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(ONE, "beetles", "bob")
    with pytest.raises(Refused, match="called 'beetles'; --rename calls it 'moths'"):
        store.teach("moths", [sha(0)], "anna")
    taught = store.teach("moths", [sha(0)], "anna", rename=True)
    assert names(queries) == {ONE: "moths"}
    store.undo(taught.event_id, "anna")
    assert names(queries) == {ONE: "beetles"}


# -------------------------------------------------------------------------- later


def test_later_rounds_respect_it(store: Store, queries: Queries, ids: list[int]) -> None:
    store.teach("moths", [sha(0), sha(1), sha(3)], "anna")
    made = store.teach("beetles", [sha(6), sha(7)], "anna").cluster_id
    next_round(store, queries, dict.fromkeys(ids, TWO))
    assert kinds(queries) == [1, 1, 2, 1, 2, 2, made, made, 2, 2]
    assert [record.lasts for record in queries.living_clusters()] == [True, False, True]


def test_undone_and_done_again(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    named = store.teach("moths", [sha(0), sha(1), sha(3)], "anna")
    made = store.teach("beetles", [sha(6)], "anna", hints=Hints(around={ids[6]: [ids[7]]}))
    again = [store.undo(taught.event_id, "bob") for taught in (named, made)]
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, -1, -1, -1, -1]
    assert names(queries) == {}
    assert states(queries)[made.cluster_id] is ClusterState.ENDED
    for event in again:
        store.undo(event, "bob")
    new = made.cluster_id
    assert kinds(queries) == [1, 1, 1, 1, 2, 2, new, new, -1, -1]
    assert names(queries) == {ONE: "moths", new: "beetles"}
    assert states(queries)[new] is ClusterState.ACTIVE
    assert counted_right(engine)


def test_a_name_that_another_kind_has_by_now_does_not_come_back(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(ONE, "beetles", "anna")
    named = store.teach("moths", [sha(0)], "anna", rename=True)
    store.rename(TWO, "beetles", "anna")
    with pytest.raises(Refused, match="kind 2 is called 'beetles' already"):
        store.undo(named.event_id, "anna")
    made = store.teach("ants", [sha(6)], "anna")
    undone = store.undo(made.event_id, "anna")
    store.rename(TWO, "ants", "anna")
    with pytest.raises(Refused, match="kind 2 is called 'ants' already"):
        store.undo(undone, "anna")


def test_a_kind_that_was_made_goes_only_when_nothing_else_speaks_of_it(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    made = store.teach("moths", [sha(6)], "anna")
    further = store.teach("moths", [sha(7)], "anna")
    with pytest.raises(Refused, match=f"`undo {further.event_id}` first"):
        store.undo(made.event_id, "anna")
    store.undo(further.event_id, "anna")
    store.undo(made.event_id, "anna")
    assert kinds(queries)[6:] == [-1] * 4


def test_as_of_then(store: Store, queries: Queries, clock: Clock, ids: list[int]) -> None:
    clock.tick(60)
    before = clock.now
    clock.tick(60)
    made = store.teach("moths", [sha(6)], "anna").cluster_id
    then = clock.now
    clock.tick(60)
    store.undo(queries.history()[-1].id, "anna")
    assert made not in {kind.id for kind in queries.clusters(before)}
    shown = {kind.id: (kind.name, kind.state, kind.size) for kind in queries.clusters(then)}
    assert shown[made] == ("moths", ClusterState.ACTIVE, 1)
    assert made not in {kind.id for kind in queries.clusters()}


def test_what_is_forgotten_is_no_example_any_more(store: Store, queries: Queries, ids: list[int]) -> None:
    store.teach("moths", [sha(6), sha(7)], "anna")
    store.forget([sha(6)], "anna")
    (fact,) = queries.facts()
    assert fact.pictures == (ids[7],)
