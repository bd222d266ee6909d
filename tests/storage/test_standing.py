"""How single pictures stand: what the agent says, and the correction that decides."""

from __future__ import annotations

import pytest

from storage.queries import Queries
from storage.records import EventType
from storage.store import Store
from tests.factories import Clock, pictures, round_of, sha


@pytest.fixture
def ids(store: Store) -> list[int]:
    ids = store.add(pictures(range(6)))
    store.allocate_clusters(3)
    store.add_clustering(round_of({picture: 1 + i // 2 for i, picture in enumerate(ids)}, probability=0.5))
    return ids


def test_nobody_decides(store: Store, queries: Queries, ids: list[int]) -> None:
    standing = queries.standing(ids[0])
    assert standing is not None
    assert (standing.cluster_id, standing.probability, standing.placed) == (1, 0.5, None)
    (late,) = store.add(pictures([9]))
    assert queries.standing(late) is None


def test_the_last_correction_that_changes_something_decides(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    moved, _ = store.move([sha(0)], 2, "anna")
    merged = store.merge([2], 3, "bob")
    for picture_id, event, said in ((ids[0], merged, 1), (ids[2], merged, 2)):
        standing = queries.standing(picture_id)
        assert standing is not None
        assert standing.placed is not None
        assert (standing.placed.event_id, standing.cluster_id) == (event, said)
    assert queries.seen_as([1, 2, 3]) == [1, 3, 3]
    store.undo(merged, "bob")
    standing = queries.standing(ids[0])
    assert standing is not None
    assert standing.placed is not None
    assert (standing.placed.event_id, standing.placed.type, standing.placed.actor, standing.placed.at) == (
        moved, EventType.MOVED, "anna", clock.now,
    )  # fmt: skip
    assert queries.seen_as([1, 2, 3]) == [1, 2, 3]


def test_names(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(2, "moths", "anna")
    assert queries.names() == {1: "", 2: "moths", 3: ""}
