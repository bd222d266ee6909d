"""A name is never lost by undoing, nor does one stay that no correction gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.errors import Refused
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState
from storage.store import Store
from tests.factories import Clock, pictures, round_of, sha

ONE, TWO, THREE = 1, 2, 3


@pytest.fixture(autouse=True)
def ids(store: Store) -> list[int]:
    """Nine pictures in three kinds, three each."""
    ids = store.add(pictures(range(9)))
    store.allocate_clusters(3)
    store.add_clustering(round_of({picture: 1 + i // 3 for i, picture in enumerate(ids)}))
    return ids


def names(queries: Queries) -> dict[int, str]:
    return {kind.id: kind.name for kind in queries.clusters() if kind.name}


def test_a_merge_that_counts_again_carries_the_name_that_was_given_meanwhile(
    store: Store, queries: Queries, clock: Clock
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    store.rename(ONE, "lions", "bob")
    store.undo(undone, "anna")
    assert names(queries) == {TWO: "lions"}
    assert queries.cluster(TWO, as_of=clock.now).cluster.name == "lions"


def test_a_merge_that_counts_again_carries_no_name_that_its_kind_lost(store: Store, queries: Queries) -> None:
    store.rename(ONE, "cats", "anna")
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    store.rename(ONE, "lions", "bob")
    store.undo(undone, "anna")
    assert names(queries) == {TWO: "lions"}


@pytest.mark.parametrize(
    "named",
    [
        lambda store: store.rename(ONE, "typo", "anna"),
        lambda store: store.teach("typo", [sha(0)], "anna").event_id,
    ],
)
def test_a_name_that_a_merge_carried_goes_and_comes_with_the_correction_that_gave_it(
    store: Store, queries: Queries, named: Callable[[Store], int]
) -> None:
    given = named(store)
    store.merge([ONE], TWO, "anna")
    store.merge([TWO], THREE, "anna")
    undone = store.undo(given, "anna")
    assert names(queries) == {}
    store.undo(undone, "anna")
    assert names(queries) == {THREE: "typo"}


def test_a_name_below_one_that_is_taken_back_comes_through(store: Store, queries: Queries) -> None:
    store.rename(ONE, "cats", "anna")
    other = store.rename(TWO, "tabbies", "anna")
    store.merge([ONE], TWO, "anna")
    store.undo(other, "anna")
    assert names(queries) == {TWO: "cats"}


def test_a_name_that_comes_through_is_no_other_kinds(store: Store, queries: Queries) -> None:
    store.rename(ONE, "cats", "anna")
    other = store.rename(TWO, "tabbies", "anna")
    store.merge([ONE], TWO, "anna")
    store.rename(THREE, "cats", "bob")
    with pytest.raises(Refused, match=f"without event {other} kind 2 would be 'cats' again, .*`rename 3` first"):
        store.undo(other, "anna")
    assert names(queries) == {TWO: "tabbies", THREE: "cats"}


def test_a_kind_keeps_its_name_where_several_would_take_its_place(store: Store, queries: Queries) -> None:
    store.rename(ONE, "cats", "anna")
    store.rename(TWO, "dogs", "anna")
    own = store.rename(THREE, "pets", "anna")
    store.merge([ONE, TWO], THREE, "anna")
    with pytest.raises(Refused, match="kind 3 would have no name, and kinds 1 'cats', 2 'dogs' .*; `rename 3` first"):
        store.undo(own, "anna")
    store.rename(THREE, "animals", "anna")
    store.undo(own, "anna")
    assert names(queries) == {THREE: "animals"}


def test_no_name_comes_back_for_a_kind_that_has_ended(store: Store, queries: Queries, ids: list[int]) -> None:
    undone = store.undo(store.rename(ONE, "moths", "anna"), "anna")
    ending = [ClusterRecord(ONE, ClusterState.ENDED), ClusterRecord(TWO, ClusterState.ACTIVE)]
    store.add_clustering(round_of(dict.fromkeys(ids, TWO), clusters=ending))
    with pytest.raises(Refused, match="kind 1 would be called 'moths', but it has ended"):
        store.undo(undone, "anna")
    assert names(queries) == {}


def test_a_merge_that_counts_again_takes_no_name_into_a_kind_that_lost_its_own(store: Store, queries: Queries) -> None:
    store.rename(ONE, "cats", "anna")
    store.rename(TWO, "tabbies", "anna")
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    store.rename(TWO, "", "bob")
    with pytest.raises(Refused, match="nothing would be called 'cats', as kind 1.*`rename 2` first"):
        store.undo(undone, "anna")
    assert names(queries) == {ONE: "cats"}
