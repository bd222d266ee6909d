"""Pictures beyond the window when their kind is not what it was."""

from __future__ import annotations

import numpy as np
import pytest

from agent.beyond import Beyond, with_beyond
from agent.inquiries import Inquiry, after_round, as_values, still_there
from agent.lineage import LineageResult
from storage.errors import Outdated
from storage.queries import Queries
from storage.records import Assignments, Event, EventType
from storage.states import BEYOND
from storage.store import Store
from tests.agent.rounds import blob
from tests.factories import assign, look_at, round_of, sha

NOTHING = assign({})


def result(*events: Event, heirs: dict[int, int] | None = None) -> LineageResult:
    return LineageResult((), NOTHING, events, {}, heirs or {})


def asked(inside: Assignments, result: LineageResult, queries: Queries) -> Assignments:
    """What a round says whose changes are few enough for one piece."""
    found, left = with_beyond(inside, after_round((), result, 100), queries, 0.3)
    assert left == ()
    return found


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
    assert said(asked(inside, result(), queries)) == dict.fromkeys(archive[:20], 1)


def test_members_follow_the_kind_that_absorbed_theirs(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 2))
    found = asked(inside, result(Event(EventType.ABSORBED, 1, (2,)), heirs={1: 2}), queries)
    assert said(found) == dict.fromkeys(archive[:60], 2)


def test_a_kind_of_which_a_part_split_off_before_it_was_absorbed(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 2) | dict.fromkeys(archive[30:50], 5))
    events = (Event(EventType.SPLIT, 1, (5,)), Event(EventType.ABSORBED, 1, (2,)))
    found = asked(inside, result(*events, heirs={1: 2}), queries)
    assert said(found) == dict.fromkeys(archive[:30], 2) | dict.fromkeys(archive[30:50], 5) | dict.fromkeys(
        archive[50:60], 2
    )


def test_members_of_a_kind_that_split_go_where_their_neighbours_went(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], 1) | dict.fromkeys(archive[30:50], 5))
    found = asked(inside, result(Event(EventType.SPLIT, 1, (5,))), queries)
    assert said(found) == dict.fromkeys(archive[:30], 1) | dict.fromkeys(archive[30:60], 5)
    assert not found.core_N[40:].any()
    assert (found.probability_N[40:] > 0.5).all()


def test_members_of_a_kind_that_disappeared_may_belong_nowhere(archive: list[int], queries: Queries) -> None:
    inside = assign(dict.fromkeys(archive[:20], None) | dict.fromkeys(archive[30:50], 2))
    found = asked(inside, result(Event(EventType.DISAPPEARED, 1)), queries)
    assert said(found) == dict.fromkeys(archive[:30], -1) | dict.fromkeys(archive[30:60], 2)


def test_where_nobody_can_be_asked_they_belong_nowhere(archive: list[int], queries: Queries) -> None:
    found = asked(NOTHING, result(Event(EventType.SPLIT, 1, (5,))), queries)
    assert said(found) == dict.fromkeys(archive[:60], -1)


def test_of_many_some_are_asked(archive: list[int], queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.beyond.ASKED", 10)
    monkeypatch.setattr("agent.beyond.NEIGHBOURS", 3)
    inside = assign(dict.fromkeys(archive[:20], 1) | dict.fromkeys(archive[30:50], 5))
    found = asked(inside, result(Event(EventType.SPLIT, 1, (5,))), queries)
    assert np.array_equal(found.cluster_N[40:], [1] * 10 + [5] * 10)


def test_what_one_piece_does_not_hold_follows_piece_by_piece_and_each_is_asked_once(
    archive: list[int], store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.beyond.PIECE", 8)
    window = [*archive[:20], *archive[30:50]]
    inside = assign(dict.fromkeys(archive[:20], 1) | dict.fromkeys(archive[30:50], 5))
    pending = after_round((), result(Event(EventType.SPLIT, 1, (5,))), 80)
    found, left = with_beyond(inside, pending, queries, 0.3)
    kinds = dict(zip(found.picture_N.tolist(), found.cluster_N.tolist(), strict=True))
    store.add_clustering(
        round_of({i: kinds.get(i, 1 if i <= 60 else 2) for i in archive}), base=1, kept=as_values(left)
    )
    look_at(store, window)
    assert [inquiry.after for inquiry in left] == [8]

    taken = []
    for _ in range(20):
        beyond = Beyond(store, queries, 0.3)  # as after a restart
        before = said(queries.said(archive))
        if not beyond.step():
            break
        after = said(queries.said(archive))
        taken.append([i for i in archive if before[i] != after[i]])
    assert said(queries.said(archive)) == {i: 1 if i <= 30 else 5 if i <= 60 else 2 for i in archive}
    assert sorted(i for piece in taken for i in piece) == list(range(51, 61))
    assert queries.state(BEYOND) == []


def test_a_piece_that_somebody_overtook_is_done_again(
    archive: list[int], store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    inquiry = Inquiry(1, (2,), 0, 80)
    look_at(store, [])
    store.revise(NOTHING, kept=as_values([inquiry]))
    beyond = Beyond(store, queries, 0.3)

    def overtaken(*_: object, **__: object) -> int:
        raise Outdated("by a person")

    with monkeypatch.context() as patch:
        patch.setattr(store, "revise", overtaken)
        assert beyond.step()
    assert queries.said_members([1]).picture_N.tolist() == archive[:60]
    assert (beyond.step(), beyond.step()) == (True, False)
    assert queries.said_members([2]).picture_N.tolist() == archive


def test_nobody_goes_to_a_kind_that_people_unmade_in_between(
    archive: list[int], store: Store, queries: Queries
) -> None:
    event, made = store.move([sha(70)], None, "anna")
    look_at(store, archive[60:])
    store.revise(NOTHING, kept=as_values([Inquiry(1, (made,), 0, 80)]))
    beyond = Beyond(store, queries, 0.3)
    store.undo(event, "anna")
    while beyond.step():
        pass
    assert said(queries.said(archive)) == dict.fromkeys(archive, 2)
    assert queries.state(BEYOND) == []


def test_nobody_votes_for_a_kind_that_people_unmade_between_two_pieces(
    archive: list[int], store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.beyond.PIECE", 8)
    event, made = store.move([sha(70)], None, "anna")
    gathered = [picture for picture in archive[60:] if picture != 71]
    look_at(store, archive[60:])
    store.revise(assign(dict.fromkeys(gathered, made)), kept=as_values([Inquiry(1, (), 0, 80)]))
    beyond = Beyond(store, queries, 0.3)
    assert beyond.step()
    assert set(queries.said_members([made]).picture_N.tolist()) > {*gathered}
    store.undo(event, "anna")
    while beyond.step():
        pass
    assert len(queries.said_members([made]).picture_N) == 0


def test_a_round_sends_nobody_to_a_kind_that_people_unmade(archive: list[int], queries: Queries) -> None:
    pending = still_there([Inquiry(1, (7,), 0, 80)], {1, 2})
    found, left = with_beyond(assign(dict.fromkeys(archive[60:], 2)), pending, queries, 0.3)
    assert (said(found), left) == (dict.fromkeys(archive, 2), ())


def test_who_came_after_the_change_is_not_asked(archive: list[int], store: Store, queries: Queries) -> None:
    look_at(store, [])
    store.revise(NOTHING, kept=as_values([Inquiry(1, (2,), 0, through=40)]))
    beyond = Beyond(store, queries, 0.3)
    while beyond.step():
        pass
    assert queries.said_members([1]).picture_N.tolist() == archive[40:60]
