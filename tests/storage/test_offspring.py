"""What splits off from a kind that people merged away is seen where that is, and comes and goes with the merge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from sqlalchemy import Engine, text

from storage import counters
from storage.errors import Refused
from storage.facts import Fact, taken_along
from storage.offspring import adopting
from storage.overrule import overrule, rows_of
from storage.queries import Queries
from storage.records import Clustering, ClusterRecord, ClusterState, Event, EventType
from storage.store import Store
from tests.factories import Clock, assign, pictures, round_of, sha

ONE, TWO, THREE = 1, 2, 3
ENDED, ACTIVE, PROVISIONAL = ClusterState.ENDED, ClusterState.ACTIVE, ClusterState.PROVISIONAL
Labels = dict[int, int | None]


@pytest.fixture
def ids(store: Store, queries: Queries) -> list[int]:
    """Nine pictures in three kinds, three each."""
    ids = store.add(pictures(range(9)))
    store.allocate_clusters(3)
    told = [Event(type, kind) for type in (EventType.EMERGED, EventType.CONFIRMED) for kind in (ONE, TWO, THREE)]
    store.add_clustering(round_of({picture: 1 + i // 3 for i, picture in enumerate(ids)}, events=told))
    return ids


def split(store: Store, queries: Queries, parents: tuple[int, ...], pictures: list[int]) -> int:
    """A round, as the cluster worker does it, in which these pictures split off from some kinds; the new kind."""
    child = store.allocate_clusters(1)[0]
    born = ClusterRecord(child, PROVISIONAL, parents=parents, exemplars=tuple(pictures[:1]))
    one = round_of(labels(queries) | dict.fromkeys(pictures, child), clusters=[born])
    wanted, decided_N = overrule(one.assignments, adopting(queries.facts(), [born]))
    told = tuple(Event(EventType.SPLIT, parent, (child,)) for parent in parents)
    store.add_clustering(
        Clustering(
            one.encoder_version, one.through_picture, one.window_size, one.seconds, one.parameters,
            (*queries.living_clusters(), born), wanted, told, rows_of(one.assignments, decided_N),
        ),
        base=queries.revision(),
    )  # fmt: skip
    return child


def labels(queries: Queries) -> Labels:
    """What the agent says of each picture."""
    said = queries.said(queries.assignments().picture_N)
    pairs = zip(said.picture_N.tolist(), said.cluster_N.tolist(), strict=True)
    return {picture: None if kind < 0 else kind for picture, kind in pairs}


def kinds(queries: Queries) -> list[int]:
    found: list[int] = queries.assignments().cluster_N.tolist()
    return found


def states(queries: Queries, as_of: datetime | None = None) -> dict[int, ClusterState]:
    return {kind.id: kind.state for kind in queries.clusters(as_of=as_of, include_ended=True)}


def sound(queries: Queries, engine: Engine, clock: Clock) -> bool:
    """Counters, sizes, what is visible and what is told as of now say the same as the facts and rows do."""
    with engine.connect() as connection:
        counted, kept = counters.recount(connection), counters.read(connection)
    seen = queries.assignments()
    folded = overrule(queries.said(seen.picture_N), queries.facts())[0].cluster_N.tolist()
    every = queries.clusters(include_ended=True)
    return (
        all(kept[name] == value for name, value in counted.items())
        and folded == kinds(queries)
        and all(kind.size == kinds(queries).count(kind.id) for kind in every)
        and states(queries) == states(queries, as_of=clock.now)
        and not {kind.id for kind in every if kind.state is ENDED} & set(kinds(queries))
    )


# -------------------------------------------------------------------------- pure


def taken(facts: list[Fact], *born: tuple[int, tuple[int, ...]]) -> list[tuple[int, ...]]:
    records = [ClusterRecord(kind, PROVISIONAL, parents=parents) for kind, parents in born]
    return [fact.offspring for fact in adopting(facts, records)]


def test_a_part_goes_with_the_merge_of_what_it_came_out_of() -> None:
    merge = Fact(5, TWO, kinds=(ONE,))
    (grown,) = adopting([merge], [ClusterRecord(7, PROVISIONAL, parents=(ONE,))])
    assert (grown.kinds, grown.offspring, grown.asked) == ((ONE, 7), (7,), (ONE,))
    assert taken([merge], (7, (ONE,)), (8, (7, ONE))) == [(7, 8)]
    assert taken([], (7, (ONE,))) == []


@pytest.mark.parametrize("parents", [(), (TWO,), (ONE, TWO), (THREE,), (ONE, THREE)])
def test_what_came_out_of_no_merged_kind_or_of_another_too_is_a_kind(parents: tuple[int, ...]) -> None:
    assert taken([Fact(5, TWO, kinds=(ONE,)), Fact(6, TWO, pictures=(1,))], (7, parents)) == [(), ()]


def test_a_part_of_several_kinds_goes_with_the_merge_that_brought_them_together() -> None:
    one_into_two, two_into_three, one_into_three = (
        Fact(5, TWO, kinds=(ONE,)), Fact(6, THREE, kinds=(TWO,)), Fact(5, THREE, kinds=(ONE,)),
    )  # fmt: skip
    assert taken([one_into_two, two_into_three], (7, (ONE, TWO)), (8, (ONE,))) == [(8,), (7,)]
    assert taken([one_into_three, two_into_three], (7, (ONE, TWO))) == [(), (7,)]


# -------------------------------------------------------------------------- rounds


def test_what_splits_off_from_a_merged_kind_is_seen_in_the_other(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    store.rename(TWO, "moths", "anna")
    store.merge([ONE], TWO, "anna")
    before = kinds(queries), queries.clusters()
    child = split(store, queries, (ONE,), ids[:1])
    assert kinds(queries) == before[0] == [2, 2, 2, 2, 2, 2, 3, 3, 3]
    assert [(kind.id, kind.name, kind.size) for kind in queries.clusters()] == [(TWO, "moths", 6), (THREE, "", 3)]
    assert states(queries)[child] is ENDED
    assert {kind.id: kind.state for kind in queries.living_clusters()}[child] is PROVISIONAL
    assert queries.seen_as([child]) == [TWO]
    assert labels(queries)[ids[0]] == child
    assert child not in {row.cluster_id for row in queries.sizes()}
    assert sound(queries, engine, clock)


def test_the_agent_may_end_a_part_of_which_nobody_spoke(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    assert {kind.id for kind in queries.living_clusters() if kind.lasts} == {ONE, TWO}
    ended = ClusterRecord(child, ENDED, parents=(ONE,))
    said = assign({ids[0]: THREE})
    told, undecided = [Event(EventType.ABSORBED, child, (THREE,))], rows_of(said, np.array([], dtype=np.int64))
    store.revise(said, [ended], told, overruled=undecided)
    assert kinds(queries) == [3, 2, 2, 2, 2, 2, 3, 3, 3]
    clock.tick(60)
    store.undo(event, "anna")
    assert kinds(queries) == [3, 1, 1, 2, 2, 2, 3, 3, 3]
    assert states(queries)[child] is ENDED
    assert sound(queries, engine, clock)


def test_a_vote_for_such_a_part_is_seen_there_too(store: Store, queries: Queries, ids: list[int]) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    (late,) = store.add(pictures([20]))
    votes = assign({late: child}, probability=0.5, core=False)
    wanted, decided_N = overrule(votes, queries.facts())
    store.revise(wanted, overruled=rows_of(votes, decided_N))
    assert kinds(queries)[-1] == TWO
    placed = queries.standing(late)
    assert placed is not None
    assert placed.placed is not None
    assert (placed.cluster_id, placed.placed.event_id) == (child, event)


def test_views_for_other_tools_say_the_same(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    with engine.connect() as connection:
        current = connection.execute(text("SELECT DISTINCT cluster_id FROM v_current ORDER BY 1")).scalars().all()
        states = {row.id: row.state for row in connection.execute(text("SELECT id, state FROM v_clusters"))}
    assert current == [TWO, THREE]
    assert states == {ONE: "ended", TWO: "active", THREE: "active", child: "ended"}


def test_a_part_of_a_part_is_seen_there_too_and_both_come_back_when_the_merge_is_undone(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:2])
    while_merged = clock.now
    clock.tick(60)
    grandchild = split(store, queries, (child,), ids[:1])
    assert kinds(queries) == [2] * 6 + [3] * 3
    clock.tick(60)
    undone = store.undo(event, "anna")
    assert kinds(queries) == [grandchild, child, 1, 2, 2, 2, 3, 3, 3]
    assert {kind: states(queries)[kind] for kind in (ONE, child, grandchild)} == {
        ONE: ACTIVE, child: PROVISIONAL, grandchild: PROVISIONAL,
    }  # fmt: skip
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert sound(queries, engine, clock)
    assert states(queries, as_of=while_merged) == {ONE: ENDED, TWO: ACTIVE, THREE: ACTIVE, child: ENDED}


def test_what_the_agent_says_of_a_part_by_now_is_given_back(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    (record,) = (one for one in queries.living_clusters() if one.id == child)
    confirmed = ClusterRecord(child, ACTIVE, parents=record.parents, exemplars=record.exemplars)
    said = labels(queries) | {ids[8]: child}
    wanted, decided_N = overrule(assign(said), queries.facts())
    store.revise(wanted, [confirmed], [Event(EventType.CONFIRMED, child)], overruled=rows_of(assign(said), decided_N))
    assert kinds(queries) == [2] * 6 + [3, 3, 2]
    clock.tick(60)
    store.undo(event, "bob")
    assert kinds(queries) == [child, 1, 1, 2, 2, 2, 3, 3, child]
    assert states(queries)[child] is ACTIVE
    assert sound(queries, engine, clock)


def test_what_split_off_before_the_merge_or_from_the_other_kind_is_a_kind(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    elder = split(store, queries, (ONE,), ids[:1])
    store.merge([ONE], TWO, "anna")
    of_the_other = split(store, queries, (TWO,), ids[5:6])
    of_both = split(store, queries, (ONE, TWO), ids[2:4])
    assert kinds(queries) == [elder, 2, of_both, of_both, 2, of_the_other, 3, 3, 3]


def test_merges_one_after_the_other_lead_a_part_on_and_each_is_undone(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    lower = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    upper = store.merge([TWO], THREE, "bob")
    later = split(store, queries, (ONE,), ids[1:2])
    of_both = split(store, queries, (ONE, TWO), ids[2:4])
    assert kinds(queries) == [3] * 9
    assert sound(queries, engine, clock)
    clock.tick(60)
    undone = store.undo(upper, "bob")
    assert kinds(queries) == [2, 2, of_both, of_both, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(undone, "bob")
    assert kinds(queries) == [3] * 9
    clock.tick(60)
    store.undo(lower, "anna")
    assert kinds(queries) == [child, later, 3, 3, 3, 3, 3, 3, 3]
    assert sound(queries, engine, clock)


# -------------------------------------------------------------------------- what people do meanwhile


def test_pictures_that_people_placed_stay_where_they_put_them(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    store.merge([ONE], TWO, "anna")
    store.move([sha(0)], THREE, "bob")
    child = split(store, queries, (ONE,), ids[:2])
    assert kinds(queries) == [3, 2, 2, 2, 2, 2, 3, 3, 3]
    with pytest.raises(Refused, match=f"kind {child} has ended"):
        store.rename(child, "moths", "anna")
    assert sound(queries, engine, clock)


def test_a_part_that_was_named_while_it_stood_alone_is_merged_again_and_keeps_the_name_for_later(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    store.rename(TWO, "moths", "anna")
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    undone = store.undo(event, "anna")
    store.rename(child, "bats", "bob")
    again = store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert names(queries) == {TWO: "moths"}
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(again, "anna")
    assert names(queries) == {TWO: "moths", child: "bats"}
    assert sound(queries, engine, clock)


def test_the_name_of_a_part_goes_with_it_into_a_kind_that_has_none(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    undone = store.undo(event, "anna")
    store.rename(child, "bats", "bob")
    store.undo(undone, "anna")
    assert names(queries) == {TWO: "bats"}
    assert {kind.id: kind.name for kind in queries.clusters(as_of=clock.now) if kind.name} == {TWO: "bats"}
    assert queries.cluster(TWO).cluster.size == 6


def names(queries: Queries) -> dict[int, str]:
    return {kind.id: kind.name for kind in queries.clusters() if kind.name}


def test_a_part_into_which_people_put_pictures_is_not_merged_again_under_them(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    undone = store.undo(event, "anna")
    put, _ = store.move([sha(8)], child, "bob")
    with pytest.raises(Refused, match=f"event {put} puts pictures into kind {child}.*`undo {put}` first"):
        store.undo(undone, "anna")
    assert kinds(queries) == [child, 1, 1, 2, 2, 2, 3, 3, child]
    store.undo(put, "bob")
    store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert sound(queries, engine, clock)


def test_what_split_off_while_the_merge_did_not_count_goes_with_it_when_it_counts_again(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    undone = store.undo(event, "anna")
    clock.tick(60)
    child = split(store, queries, (ONE,), ids[:2])
    grandchild = split(store, queries, (child,), ids[:1])
    meanwhile = clock.now
    clock.tick(60)
    again = store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert sound(queries, engine, clock)
    assert states(queries, as_of=meanwhile)[child] is PROVISIONAL
    clock.tick(60)
    store.undo(again, "anna")
    assert kinds(queries) == [grandchild, child, 1, 2, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)


@pytest.mark.parametrize(
    "speak",
    [
        lambda store, child: store.rename(child, "bats", "bob"),
        lambda store, child: store.hide(child, "bob"),
        lambda store, child: store.move([sha(8)], child, "bob"),
        lambda store, child: store.merge([child], THREE, "bob"),
        lambda store, child: store.merge([THREE], child, "bob"),
    ],
    ids=["named", "hidden", "put into", "merged away", "merged into"],
)
def test_a_part_of_which_people_spoke_while_the_merge_did_not_count_is_left_as_they_said(
    store: Store,
    queries: Queries,
    engine: Engine,
    clock: Clock,
    ids: list[int],
    speak: Callable[[Store, int], object],
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    child = split(store, queries, (ONE,), ids[:1])
    speak(store, child)
    before = kinds(queries)
    store.undo(undone, "anna")
    assert kinds(queries) == [2 if kind == ONE else kind for kind in before]
    assert sound(queries, engine, clock)


def test_what_people_split_off_while_the_merge_did_not_count_is_theirs(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    event, first = store.divide(ONE, [sha(0)], "bob")
    back = store.undo(event, "bob")
    _, second = store.divide(ONE, [sha(1)], "bob")
    store.undo(undone, "anna")
    assert kinds(queries) == [2, second, 2, 2, 2, 2, 3, 3, 3]
    store.undo(back, "bob")
    assert kinds(queries) == [first, second, 2, 2, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)


def test_a_part_that_has_ended_meanwhile_is_merged_again_and_stays_ended(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    event = store.merge([ONE], TWO, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    undone = store.undo(event, "anna")
    ended = ClusterRecord(child, ENDED, parents=(ONE,))
    store.revise(assign({ids[0]: ONE}), [ended], [Event(EventType.ABSORBED, child, (ONE,))])
    clock.tick(60)
    again = store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    clock.tick(60)
    store.undo(again, "anna")
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert states(queries)[child] is ENDED
    assert sound(queries, engine, clock)


def test_a_part_of_several_kinds_goes_with_the_merge_that_leads_them_together_again(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    store.merge([ONE], TWO, "anna")
    undone = store.undo(store.merge([TWO], THREE, "anna"), "anna")
    clock.tick(60)
    child = split(store, queries, (ONE, TWO), [ids[0], ids[3]])
    assert kinds(queries).count(child) == 2
    clock.tick(60)
    again = store.undo(undone, "anna")
    assert kinds(queries) == [3] * 9
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(again, "anna")
    assert kinds(queries).count(child) == 2
    assert sound(queries, engine, clock)


def test_a_part_that_another_merge_took_is_the_first_ones_when_that_counts_again(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    first = store.merge([ONE], TWO, "anna")
    undone = store.undo(first, "anna")
    other = store.merge([ONE], THREE, "bob")
    child = split(store, queries, (ONE,), ids[:1])
    assert kinds(queries) == [3, 3, 3, 2, 2, 2, 3, 3, 3]
    again = store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    clock.tick(60)
    store.undo(other, "bob")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(again, "anna")
    assert kinds(queries) == [child, 1, 1, 2, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)


def test_a_part_of_several_kinds_goes_with_the_upper_merge_when_the_lower_one_counts_again(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    lower = store.merge([ONE], TWO, "anna")
    upper = store.merge([TWO], THREE, "bob")
    undone = store.undo(lower, "anna")
    clock.tick(60)
    child = split(store, queries, (ONE, TWO), [ids[0], ids[3]])
    grandchild = split(store, queries, (child,), ids[3:4])
    apart = clock.now
    assert kinds(queries) == [child, 1, 1, grandchild, 3, 3, 3, 3, 3]
    clock.tick(60)
    store.undo(undone, "anna")
    assert kinds(queries) == [3] * 9
    assert sound(queries, engine, clock)
    assert states(queries, as_of=apart)[child] is states(queries, as_of=apart)[grandchild] is PROVISIONAL
    clock.tick(60)
    store.undo(upper, "bob")
    assert kinds(queries) == [child, 2, 2, grandchild, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)


def test_a_merge_that_counts_again_leaves_what_another_one_would_have_taken_without_it(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    lower = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    upper = store.undo(store.merge([TWO], THREE, "bob"), "bob")
    child = split(store, queries, (TWO,), ids[3:4])
    named = store.rename(child, "bats", "anna")
    store.undo(upper, "bob")
    store.undo(named, "anna")
    assert kinds(queries) == [1, 1, 1, child, 3, 3, 3, 3, 3]
    store.undo(lower, "anna")
    assert kinds(queries) == [3, 3, 3, child, 3, 3, 3, 3, 3]
    assert sound(queries, engine, clock)


def test_a_merge_that_counts_again_brings_into_the_upper_one_only_what_split_off_after_that(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    lower = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    elder = split(store, queries, (ONE, TWO), [ids[0], ids[3]])
    store.merge([TWO], THREE, "bob")
    younger = split(store, queries, (ONE, TWO), [ids[1], ids[4]])
    assert kinds(queries) == [elder, younger, 1, elder, younger, 3, 3, 3, 3]
    store.undo(lower, "anna")
    assert kinds(queries) == [elder, 3, 3, elder, 3, 3, 3, 3, 3]
    assert sound(queries, engine, clock)


def test_a_part_goes_with_a_later_merge_of_its_kind_when_the_first_one_is_undone(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    other = store.merge([ONE], THREE, "bob")
    again = store.undo(undone, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    assert kinds(queries) == [2] * 6 + [3] * 3
    clock.tick(60)
    undone = store.undo(again, "anna")
    assert kinds(queries) == [3, 3, 3, 2, 2, 2, 3, 3, 3]
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(undone, "anna")
    assert kinds(queries) == [2] * 6 + [3] * 3
    assert sound(queries, engine, clock)
    clock.tick(60)
    store.undo(other, "bob")
    assert states(queries)[child] is ENDED
    assert sound(queries, engine, clock)


def test_a_part_was_a_kind_as_long_as_the_merge_counted_without_it(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int]
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    child = split(store, queries, (ONE,), ids[:1])
    named = store.rename(child, "bats", "bob")
    again = store.undo(undone, "anna")
    then, stood = clock.now, queries.clusters(include_ended=True)
    assert {kind.id: kind.name for kind in stood if kind.state is not ENDED}[child] == "bats"
    clock.tick(60)
    undone = store.undo(again, "anna")
    store.undo(named, "bob")
    store.undo(undone, "anna")
    assert states(queries)[child] is ENDED
    assert sound(queries, engine, clock)
    assert queries.clusters(as_of=then, include_ended=True) == stood


def test_a_refused_undoing_notes_nothing(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    store.rename(ONE, "cats", "anna")
    event = store.merge([ONE], TWO, "anna")
    undone = store.undo(event, "anna")
    child = split(store, queries, (ONE,), ids[:1])
    store.rename(TWO, "dogs", "bob")
    store.rename(TWO, "", "bob")
    with pytest.raises(Refused, match="nothing would be called 'cats'"):
        store.undo(undone, "anna")
    store.rename(TWO, "dogs", "bob")
    with engine.connect() as connection:
        assert taken_along(connection) == {}
    store.undo(undone, "anna")
    with engine.connect() as connection:
        assert taken_along(connection) == {event: (child,)}
