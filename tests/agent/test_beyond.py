"""Pictures beyond the window when their kind is not what it was."""

from __future__ import annotations

import numpy as np
import pytest

from agent.beyond import with_beyond
from agent.lineage import LineageResult
from storage.queries import Queries
from storage.records import Assignments, Event, EventType
from storage.store import Store
from tests.agent.test_cluster_worker import blob
from tests.factories import assign, round_of

NOTHING = assign({})


def result(*events: Event, heirs: dict[int, int] | None = None) -> LineageResult:
    return LineageResult((), NOTHING, events, {}, heirs or {})


def said(found: Assignments) -> dict[int, int]:
    assert len(set(found.picture_N.tolist())) == len(found.picture_N)
    return dict(zip(found.picture_N.tolist(), found.cluster_N.tolist(), strict=True))


@pytest.fixture
def archive(store: Store) -> list[int]:
    """Thirty pictures here and thirty there, all of one kind; another kind of twenty."""
    store.ensure_born({})
    ids = store.add([*blob(range(30), 0), *blob(range(30, 60), 1), *blob(range(60, 80), 2)])
    store.allocate_clusters(9)
    store.add_clustering(round_of({i: 1 if i <= 60 else 2 for i in ids}), base=0)
    return ids


def test_what_did_not_change_stays_out(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 1))
    assert said(with_beyond(inside, result(), queries, 0.3)) == dict.fromkeys(archive[:20], 1)


def test_members_follow_the_kind_that_absorbed_theirs(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 2))
    found = with_beyond(inside, result(Event(EventType.ABSORBED, 1, (2,)), heirs={1: 2}), queries, 0.3)
    assert said(found) == dict.fromkeys(archive[:60], 2)


def test_a_kind_of_which_a_part_split_off_before_it_was_absorbed(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 2) | dict.fromkeys(archive[30:50], 5))
    events = (Event(EventType.SPLIT, 1, (5,)), Event(EventType.ABSORBED, 1, (2,)))
    found = with_beyond(inside, result(*events, heirs={1: 2}), queries, 0.3)
    assert said(found) == dict.fromkeys(archive[:30], 2) | dict.fromkeys(archive[30:50], 5) | dict.fromkeys(
        archive[50:60], 2
    )


def test_members_of_a_kind_that_split_go_where_their_neighbours_went(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 1) | dict.fromkeys(archive[30:50], 5))
    found = with_beyond(inside, result(Event(EventType.SPLIT, 1, (5,))), queries, 0.3)
    assert said(found) == dict.fromkeys(archive[:30], 1) | dict.fromkeys(archive[30:60], 5)
    assert not found.core_N[40:].any()
    assert (found.probability_N[40:] > 0.5).all()


def test_members_of_a_kind_that_disappeared_may_belong_nowhere(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], None) | dict.fromkeys(archive[30:50], 2))
    found = with_beyond(inside, result(Event(EventType.DISAPPEARED, 1)), queries, 0.3)
    assert said(found) == dict.fromkeys(archive[:30], -1) | dict.fromkeys(archive[30:60], 2)


def test_where_nobody_can_be_asked_they_belong_nowhere(archive: list[int], queries: Queries) -> None:
    found = with_beyond(NOTHING, result(Event(EventType.SPLIT, 1, (5,))), queries, 0.3)
    assert said(found) == dict.fromkeys(archive[:60], -1)


def test_of_many_some_are_asked(archive: list[int], queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.beyond.ASKED", 10)
    monkeypatch.setattr("agent.beyond.NEIGHBOURS", 3)
    monkeypatch.setattr("agent.beyond.CHUNK", 7)
    inside = assign(dict.fromkeys(archive[:20], 1) | dict.fromkeys(archive[30:50], 5))
    found = with_beyond(inside, result(Event(EventType.SPLIT, 1, (5,))), queries, 0.3)
    assert np.array_equal(found.cluster_N[40:], [1] * 10 + [5] * 10)
