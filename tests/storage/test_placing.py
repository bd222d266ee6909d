"""People say where pictures belong, rounds respect it, and undoing gives back what the agent says by then."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import Engine, func, select

from storage import counters
from storage.errors import NotFound, Outdated, Refused
from storage.offspring import adopting
from storage.overrule import overrule, rows_of
from storage.queries import Queries
from storage.records import Clustering, ClusterRecord, ClusterState, Event, EventType
from storage.schema import overruled
from storage.store import Store
from tests.factories import Clock, assign, pictures, round_of, sha

ONE, TWO, THREE = 1, 2, 3
NAMES = ("bats", "cats", "moths")
PROVISIONAL = ClusterState.PROVISIONAL


@pytest.fixture
def ids(store: Store) -> list[int]:
    """Nine pictures in three kinds, three each."""
    ids = store.add(pictures(range(9)))
    store.allocate_clusters(3)
    store.add_clustering(round_of(by_threes(ids)))
    return ids


def by_threes(ids: list[int]) -> dict[int, int | None]:
    return {picture: 1 + i // 3 for i, picture in enumerate(ids)}


def kinds(queries: Queries) -> list[int]:
    """The kind of each picture, in order."""
    found: list[int] = queries.assignments().cluster_N.tolist()
    return found


def said(queries: Queries) -> list[int]:
    found: list[int] = queries.said(queries.assignments().picture_N).cluster_N.tolist()
    return found


def next_round(
    store: Store,
    queries: Queries,
    wanted: dict[int, int | None],
    base: int | None = None,
    probability: float = 1.0,
    born: tuple[ClusterRecord, ...] = (),
) -> None:
    """As the cluster worker does it."""
    one = round_of(wanted, probability=probability)
    visible, decided_N = overrule(one.assignments, adopting(queries.facts(), born))
    records = {record.id: record for record in (*queries.living_clusters(), *born)}
    store.add_clustering(
        Clustering(
            one.encoder_version, one.through_picture, one.window_size, one.seconds, one.parameters,
            tuple(records.get(cluster.id, cluster) for cluster in one.clusters), visible,
            tuple(Event(EventType.SPLIT, parent, (record.id,)) for record in born for parent in record.parents),
            rows_of(one.assignments, decided_N),
        ),
        base=base,
    )  # fmt: skip


def states(queries: Queries) -> dict[int, ClusterState]:
    return {kind.id: kind.state for kind in queries.clusters(include_ended=True)}


def counted_right(engine: Engine) -> bool:
    with engine.connect() as connection:
        counted, kept = counters.recount(connection), counters.read(connection)
    return all(kept[name] == value for name, value in counted.items())


def decided(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(overruled)).scalar_one()


# -------------------------------------------------------------------------- move


def test_moved_pictures_stay_where_people_put_them(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    event, kind = store.move([sha(0), sha(3)], THREE, "anna")
    assert (kind, kinds(queries)) == (THREE, [3, 1, 1, 3, 2, 2, 3, 3, 3])
    told = queries.history()[-1]
    assert (told.id, told.type, told.actor, told.cluster_id) == (event, EventType.MOVED, "anna", THREE)
    assert told.detail == {"pictures": 2, "from": {"1": 1, "2": 1}}
    next_round(store, queries, by_threes(ids))
    assert kinds(queries) == [3, 1, 1, 3, 2, 2, 3, 3, 3]
    assert said(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert {kind.id: kind.size for kind in queries.clusters()} == {1: 2, 2: 2, 3: 5}
    assert counted_right(engine)


def test_undoing_gives_back_what_the_agent_says_by_then(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    event, _ = store.move([sha(0)], THREE, "anna")
    next_round(store, queries, {**by_threes(ids), ids[0]: 2})
    assert kinds(queries)[0] == 3
    undone = store.undo(event, "anna")
    assert kinds(queries)[0] == 2
    assert decided(engine) == 0
    store.undo(undone, "bob")
    assert (kinds(queries)[0], said(queries)[0], decided(engine)) == (3, 2, 1)


def test_a_move_makes_a_kind(store: Store, queries: Queries, ids: list[int]) -> None:
    event, kind = store.move([sha(0), sha(8)], None, "anna")
    assert kind == 4
    assert kinds(queries) == [4, 1, 1, 2, 2, 2, 3, 3, 4]
    assert states(queries)[kind] is ClusterState.ACTIVE
    assert [record.placed for record in queries.living_clusters()] == [False, False, False, True]
    store.undo(event, "anna")
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert states(queries)[kind] is ClusterState.ENDED


def test_a_picture_that_waits_for_its_first_round_can_be_moved(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    (late,) = store.add(pictures([20]))
    event, _ = store.move([sha(20)], ONE, "anna")
    assert kinds(queries)[-1] == ONE
    assert counted_right(engine)
    next_round(store, queries, {**by_threes(ids), late: None})
    assert kinds(queries)[-1] == ONE
    store.undo(event, "anna")
    assert kinds(queries)[-1] == -1
    assert counted_right(engine)


def test_a_picture_that_was_moved_while_it_waited_waits_again_when_that_is_undone(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    (late,) = store.add(pictures([20]))
    event, _ = store.move([sha(20), sha(0)], TWO, "anna")
    undone = store.undo(event, "anna")
    assert [row.id for row in queries.pictures(status="pending")] == [late]
    assert (queries.status().pending, queries.status().unassigned, decided(engine)) == (1, 0, 0)
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert counted_right(engine)
    store.undo(undone, "anna")
    assert kinds(queries) == [2, 1, 1, 2, 2, 2, 3, 3, 3, 2]
    assert counted_right(engine)
    store.undo(event, "anna")
    next_round(store, queries, {**by_threes(ids), late: 3})
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    assert (queries.status().pending, counted_right(engine)) == (0, True)


def test_a_hash_may_be_cut_off(store: Store, queries: Queries, ids: list[int]) -> None:
    store.move([sha(0)[:12].upper()], TWO, "anna")
    assert kinds(queries)[0] == TWO


# -------------------------------------------------------------------------- merge


def test_undoing_is_told_of_every_kind_that_took_part(store: Store, queries: Queries, ids: list[int]) -> None:
    merge = store.merge([ONE, TWO], THREE, "anna")
    undone = store.undo(merge, "bob")
    again = store.undo(undone, "anna")
    for kind in (ONE, TWO, THREE):
        assert [event.id for event in queries.history(cluster=kind)][-3:] == [merge, undone, again]
    assert states(queries)[ONE] is ClusterState.ENDED
    store.undo(again, "anna")
    split, part = store.divide(ONE, [sha(0)], "anna")
    undone = store.undo(split, "anna")
    assert [event.id for event in queries.cluster(part).events] == [split, undone]


def test_merged_kinds_end_and_what_the_agent_puts_into_them_later_follows(
    store: Store, queries: Queries, engine: Engine, ids: list[int]
) -> None:
    store.merge([ONE, TWO], THREE, "anna")
    assert kinds(queries) == [3] * 9
    assert states(queries) == {1: ClusterState.ENDED, 2: ClusterState.ENDED, 3: ClusterState.ACTIVE}
    (late,) = store.add(pictures([20]))
    next_round(store, queries, {**by_threes(ids), late: ONE})
    assert kinds(queries) == [3] * 10
    assert states(queries)[ONE] is ClusterState.ENDED
    assert [record.state for record in queries.living_clusters()] == [ClusterState.ACTIVE] * 3
    assert counted_right(engine)


def test_a_merge_is_undone_many_rounds_later(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    event = store.merge([ONE], TWO, "anna")
    late = store.add(pictures([20, 21]))
    next_round(store, queries, {**by_threes(ids), late[0]: ONE, late[1]: TWO})
    next_round(store, queries, {**by_threes(ids), late[0]: ONE, late[1]: TWO, ids[0]: THREE})
    undone = store.undo(event, "bob")
    assert kinds(queries) == [3, 1, 1, 2, 2, 2, 3, 3, 3, 1, 2]
    assert states(queries) == dict.fromkeys((1, 2, 3), ClusterState.ACTIVE)
    assert (decided(engine), counted_right(engine)) == (0, True)
    store.undo(undone, "bob")
    assert kinds(queries) == [3, 2, 2, 2, 2, 2, 3, 3, 3, 2, 2]
    assert states(queries)[ONE] is ClusterState.ENDED


def test_exemplars_are_the_same_now_and_as_of_now(store: Store, queries: Queries, clock: Clock, ids: list[int]) -> None:
    shown = [ClusterRecord(ONE, ClusterState.ACTIVE, exemplars=(ids[0], ids[1]))]
    store.revise(assign({ids[0]: ONE}), shown)
    for correct in (lambda: store.merge([ONE], TWO, "anna"), lambda: store.move([sha(0)], THREE, "anna")):
        before = clock.now
        clock.tick()
        correct()
        now = queries.cluster(ONE, as_of=None).cluster.exemplars
        assert queries.cluster(ONE, as_of=clock.now).cluster.exemplars == now
        assert queries.cluster(ONE, as_of=before).cluster.exemplars == (sha(0), sha(1))
    assert now == (sha(1),)


def test_what_was_believed_while_kinds_were_merged(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    store.add_events([Event(EventType.CONFIRMED, kind) for kind in (1, 2, 3)])
    before = clock.now
    clock.tick(60)
    event = store.merge([ONE], TWO, "anna")
    while_merged = clock.now
    store.add_events([Event(EventType.DORMANT, ONE)])
    clock.tick(60)
    store.undo(event, "anna")
    for when, state, size in ((before, "active", 3), (while_merged, "ended", 0), (None, "active", 3)):
        kind = queries.cluster(ONE, as_of=when).cluster
        assert (kind.state, kind.size) == (state, size)


def names(queries: Queries) -> dict[int, str]:
    return {kind.id: kind.name for kind in queries.clusters() if kind.name}


def test_a_name_goes_with_its_kind_into_one_that_has_none(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    store.rename(ONE, "cats", "anna")
    before = clock.now
    clock.tick(60)
    event = store.merge([ONE, TWO], THREE, "anna")
    assert names(queries) == {THREE: "cats"}
    assert queries.history()[-1].detail == {"pictures": 6, "name": "cats"}
    assert [queries.cluster(THREE, as_of=when).cluster.name for when in (before, clock.now)] == ["", "cats"]
    next_round(store, queries, by_threes(ids))
    undone = store.undo(event, "bob")
    assert names(queries) == {ONE: "cats"}
    store.undo(undone, "bob")
    assert names(queries) == {THREE: "cats"}


def test_a_kind_that_has_a_name_keeps_it_in_a_merge(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(ONE, "cats", "anna")
    store.rename(TWO, "tabbies", "anna")
    event = store.merge([TWO], ONE, "anna")
    assert names(queries) == {ONE: "cats"}
    store.undo(event, "anna")
    assert names(queries) == {ONE: "cats", TWO: "tabbies"}


def test_of_two_names_none_is_chosen_for_a_kind_that_has_none(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(ONE, "cats", "anna")
    store.rename(TWO, "tabbies", "anna")
    with pytest.raises(Refused, match="kinds 1 'cats', 2 'tabbies'.*kind 3 has no name.*`rename 3`"):
        store.merge([ONE, TWO], THREE, "anna")
    assert names(queries) == {ONE: "cats", TWO: "tabbies"}


def test_undoing_a_merge_gives_no_two_kinds_one_name(store: Store, queries: Queries, ids: list[int]) -> None:
    store.rename(ONE, "cats", "anna")
    event = store.merge([ONE], THREE, "anna")
    store.rename(THREE, "felines", "bob")
    store.rename(TWO, "cats", "bob")
    with pytest.raises(Refused, match="kind 2 is called 'cats' already"):
        store.undo(event, "anna")
    store.rename(TWO, "", "bob")
    undone = store.undo(event, "anna")
    assert names(queries) == {ONE: "cats", THREE: "felines"}
    store.undo(undone, "anna")
    assert names(queries) == {THREE: "felines"}


def test_a_merge_that_counts_again_takes_the_name_that_its_kind_has_by_now(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    store.rename(ONE, "cats", "anna")
    undone = store.undo(store.merge([ONE], THREE, "anna"), "anna")
    store.rename(ONE, "felines", "bob")
    store.rename(TWO, "cats", "bob")
    store.undo(undone, "anna")
    assert names(queries) == {TWO: "cats", THREE: "felines"}


# -------------------------------------------------------------------------- divide


def test_a_divided_kind_has_a_parent_and_its_own_pictures(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    event, kind = store.divide(ONE, [sha(0)], "anna")
    assert kinds(queries) == [kind, 1, 1, 2, 2, 2, 3, 3, 3]
    detail = queries.cluster(kind)
    assert (detail.cluster.parents, detail.cluster.state) == ((ONE,), ClusterState.ACTIVE)
    assert queries.cluster(ONE).children == (kind,)
    next_round(store, queries, by_threes(ids))
    assert kinds(queries)[0] == kind
    then = clock.now
    clock.tick(60)
    store.undo(event, "anna")
    assert kinds(queries)[0] == ONE
    assert states(queries)[kind] is ClusterState.ENDED
    assert queries.cluster(ONE).children == ()
    assert queries.cluster(ONE, as_of=then).children == (kind,)


# -------------------------------------------------------------------------- together


def test_corrections_on_corrections_are_undone_in_any_order(store: Store, queries: Queries, ids: list[int]) -> None:
    moved, _ = store.move([sha(0)], TWO, "anna")
    merged = store.merge([TWO], THREE, "bob")
    assert kinds(queries) == [3, 1, 1, 3, 3, 3, 3, 3, 3]
    back = store.undo(moved, "anna")
    assert kinds(queries) == [1, 1, 1, 3, 3, 3, 3, 3, 3]
    store.undo(back, "anna")
    store.undo(merged, "bob")
    assert kinds(queries) == [2, 1, 1, 2, 2, 2, 3, 3, 3]
    store.undo(moved, "anna")
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_kind_that_people_made_goes_last(store: Store, queries: Queries, ids: list[int]) -> None:
    made, kind = store.move([sha(0)], None, "anna")
    later, _ = store.move([sha(4)], kind, "bob")
    with pytest.raises(Refused, match=f"made by event {made}, and event {later} speaks of it; `undo {later}` first"):
        store.undo(made, "anna")
    store.undo(later, "bob")
    store.undo(made, "anna")
    assert kinds(queries) == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_name_is_not_lost_with_the_kind_that_bears_it(store: Store, ids: list[int]) -> None:
    made, kind = store.divide(ONE, [sha(0)], "anna")
    named = store.rename(kind, "moths", "bob")
    with pytest.raises(Refused, match=f"event {named} speaks of it"):
        store.undo(made, "anna")


def test_a_merge_that_is_made_again_leads_on_through_a_later_one(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    undone = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    later = store.merge([TWO], THREE, "bob")
    store.undo(undone, "anna")
    assert kinds(queries) == [3] * 9
    store.undo(later, "bob")
    assert kinds(queries) == [2, 2, 2, 2, 2, 2, 3, 3, 3]


def test_nothing_is_put_again_into_a_kind_that_has_ended(store: Store, ids: list[int]) -> None:
    made, kind = store.move([sha(0)], None, "anna")
    back = store.undo(store.move([sha(4)], kind, "bob")[0], "bob")
    store.undo(made, "anna")
    with pytest.raises(Refused, match=f"kind {kind} has ended"):
        store.undo(back, "bob")


def put_into_one(how: str, store: Store) -> int:
    """Kind 1 takes something in; the event."""
    match how:
        case "merge":
            return store.merge([TWO], ONE, "bob")
        case "move":
            return store.move([sha(8)], ONE, "bob")[0]
        case _:
            return store.teach("cat", [sha(0), sha(1), sha(8)], "bob").event_id


@pytest.mark.parametrize("how", ["merge", "move", "teach"])
def test_nothing_is_put_again_into_a_kind_that_was_merged_away_before(
    store: Store, queries: Queries, ids: list[int], how: str
) -> None:
    merged = store.merge([ONE], TWO, "anna")
    again = store.undo(merged, "anna")
    put = put_into_one(how, store)
    back = store.undo(put, "bob")
    store.undo(again, "anna")
    says = f"event {put} puts pictures into kind 1, which event {merged} merges away before; `undo {merged}` first"
    with pytest.raises(Refused, match=says):
        store.undo(back, "bob")
    assert kinds(queries) == folded(queries) == [2, 2, 2, 2, 2, 2, 3, 3, 3]
    store.undo(merged, "anna")
    store.undo(back, "bob")
    assert ONE in kinds(queries)


@pytest.mark.parametrize("how", ["merge", "move", "teach"])
def test_what_is_put_again_into_a_kind_that_was_merged_away_later_is_carried_on(
    store: Store, queries: Queries, ids: list[int], how: str
) -> None:
    back = store.undo(put_into_one(how, store), "bob")
    store.merge([ONE], THREE, "anna")
    store.undo(back, "bob")
    assert kinds(queries) == folded(queries)
    assert set(kinds(queries)) == ({3} if how == "merge" else {2, 3})


def test_a_merge_that_carries_pictures_on_stays_where_only_an_earlier_one_took_their_kind(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    first = store.merge([ONE], TWO, "anna")
    again = store.undo(first, "anna")
    put = put_into_one("move", store)
    back = store.undo(put, "bob")
    last = store.merge([ONE], THREE, "anna")
    store.undo(again, "anna")
    store.undo(back, "bob")
    assert kinds(queries) == folded(queries) == [2, 2, 2, 2, 2, 2, 3, 3, 3]
    with pytest.raises(Refused, match=f"event {put} puts pictures into kind 1.*event {first} .*`undo {put}` first"):
        store.undo(last, "anna")


def folded(queries: Queries) -> list[int]:
    """What the facts make of what the agent says, for all pictures at once."""
    ids = queries.assignments().picture_N
    found: list[int] = overrule(queries.said(ids), queries.facts())[0].cluster_N.tolist()
    return found


def test_a_merge_below_another_is_undone_for_what_was_carried_on(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    store.move([sha(3)], ONE, "anna")
    lower = store.merge([ONE], TWO, "anna")
    store.merge([TWO], THREE, "bob")
    store.undo(lower, "anna")
    assert kinds(queries) == folded(queries) == [1, 1, 1, 1, 3, 3, 3, 3, 3]


def test_a_merge_that_counts_again_takes_back_what_a_later_one_took(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    first = store.merge([ONE], TWO, "anna")
    back = store.undo(first, "anna")
    store.merge([ONE], THREE, "bob")
    store.undo(back, "anna")
    assert kinds(queries) == folded(queries) == [2, 2, 2, 2, 2, 2, 3, 3, 3]
    store.undo(first, "anna")
    assert kinds(queries) == folded(queries) == [3, 3, 3, 2, 2, 2, 3, 3, 3]
    assert states(queries)[ONE] is ClusterState.ENDED


def test_undoing_an_undo_beside_which_another_counts_makes_no_difference(store: Store, ids: list[int]) -> None:
    event, _ = store.move([sha(0)], THREE, "anna")
    first = store.undo(event, "anna")
    again = store.undo(first, "anna")
    second = store.undo(event, "anna")
    with pytest.raises(Refused, match=f"as long as event {second} counts, undoing event {again} makes no difference"):
        store.undo(again, "anna")


def test_kinds_do_not_end_in_a_circle(store: Store, ids: list[int]) -> None:
    back = store.undo(store.merge([ONE], TWO, "anna"), "anna")
    other = store.merge([TWO], ONE, "bob")
    with pytest.raises(Refused, match=f"event {other} puts pictures into kind 1.*`undo {other}` first"):
        store.undo(back, "anna")


def test_kinds_do_not_come_back_with_a_name_that_another_has(store: Store, ids: list[int]) -> None:
    store.rename(ONE, "moths", "anna")
    bats = store.rename(ONE, "bats", "anna")
    store.rename(THREE, "moths", "bob")
    store.rename(TWO, "insects", "bob")
    merged = store.merge([ONE, THREE], TWO, "bob")
    store.undo(bats, "anna")
    with pytest.raises(Refused, match="kinds 1 and 3 would both be called 'moths'"):
        store.undo(merged, "bob")


def test_a_kind_that_was_named_meanwhile_does_not_end_by_a_round(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    base = queries.revision()
    store.rename(ONE, "moths", "anna")
    ending = [ClusterRecord(ONE, ClusterState.ENDED), ClusterRecord(TWO, ClusterState.ACTIVE)]
    with pytest.raises(Outdated, match="kind 1 has a name by now"):
        store.add_clustering(round_of(dict.fromkeys(ids, TWO), clusters=ending), base=base)
    assert states(queries)[ONE] is ClusterState.ACTIVE


def test_the_past_keeps_its_certainty(store: Store, queries: Queries, clock: Clock, ids: list[int]) -> None:
    next_round(store, queries, by_threes(ids), probability=0.3)
    before = clock.now
    clock.tick(60)
    store.move([sha(0)], ONE, "anna")
    assert [(one.actor, one.probability) for one in queries.picture(sha(0)).belonged][-1] == ("anna", 1)
    then = queries.picture(sha(0), as_of=before).picture.probability
    assert then == pytest.approx(0.3)


def test_what_people_made_and_unmade_has_ended_then_and_now(
    store: Store, queries: Queries, clock: Clock, ids: list[int]
) -> None:
    event, kind = store.move([sha(0)], None, "anna")
    store.add_events([Event(EventType.DORMANT, kind)])
    clock.tick(60)
    back = store.undo(event, "anna")
    for as_of in (clock.now, None):
        assert queries.cluster(kind, as_of=as_of).cluster.state is ClusterState.ENDED
    clock.tick(60)
    store.undo(back, "anna")
    for as_of in (clock.now, None):
        assert queries.cluster(kind, as_of=as_of).cluster.state is ClusterState.DORMANT


@pytest.mark.parametrize("seed", [17, 19, 23, 29])
def test_random_histories_are_what_the_facts_say(
    store: Store, queries: Queries, engine: Engine, clock: Clock, ids: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    events: list[int] = []
    machine = by_threes(ids)
    agents = [ONE, TWO, THREE]
    for _ in range(70):
        alive = [kind.id for kind in queries.clusters()]
        shas = [sha(int(n)) for n in rng.choice(9, 2, replace=False)]
        one, other = (int(kind) for kind in rng.choice(alive, 2)) if alive else (ONE, TWO)
        try:
            match rng.integers(12):
                case 0:
                    events.append(store.move(shas, one if rng.random() < 0.7 else None, "anna")[0])
                case 1:
                    events.append(store.merge([one], other, "anna"))
                case 2:
                    events.append(store.divide(one, shas[:1], "anna")[0])
                case 3:
                    machine[ids[int(rng.integers(9))]] = int(rng.choice(agents))
                    next_round(store, queries, machine)
                case 4:
                    events.append(store.rename(one, str(rng.choice(NAMES)), "anna"))
                case 5:
                    events.append(store.teach(str(rng.choice(NAMES)), shas, "anna", rename=True).event_id)
                case 6 | 7:
                    parents = tuple({int(kind) for kind in rng.choice(agents, 1 + int(rng.random() < 0.3))})
                    agents.append(store.allocate_clusters(1)[0])
                    machine[ids[int(rng.integers(9))]] = agents[-1]
                    next_round(store, queries, machine, born=(ClusterRecord(agents[-1], PROVISIONAL, parents=parents),))
                case _:
                    if events:
                        events.append(store.undo(int(rng.choice(events)), "bob"))
        except Refused:
            continue
        assert kinds(queries) == folded(queries)
        assert counted_right(engine)
        then = {kind.id: kind.state for kind in queries.clusters(as_of=clock.now, include_ended=True)}
        ended = {kind for kind, state in states(queries).items() if state is ClusterState.ENDED}
        assert ended == {kind for kind, state in then.items() if state is ClusterState.ENDED}
        assert not ended & set(kinds(queries))
        called = names(queries)
        assert len(set(called.values())) == len(called)
        lost = {kind.id for kind in queries.clusters(include_ended=True) if kind.name} & ended
        assert all(lead in called for lead in queries.seen_as(sorted(lost)))
    assert len(events) > 15


@pytest.mark.parametrize(
    ("correct", "error", "says"),
    [
        (lambda store: store.move([sha(99)], ONE, "anna"), NotFound, f"no picture {sha(99)[:12]}"),
        (lambda store: store.move(["abc"], ONE, "anna"), Refused, "first 6 digits or more"),
        (lambda store: store.move([], ONE, "anna"), Refused, "no picture was named"),
        (lambda store: store.move([sha(0)], 77, "anna"), NotFound, "no kind 77"),
        (lambda store: store.merge([ONE], ONE, "anna"), Refused, "cannot be merged into itself"),
        (lambda store: store.merge([ONE, 77], TWO, "anna"), NotFound, "no kind 77"),
        (lambda store: store.divide(ONE, [sha(0), sha(5)], "anna"), Refused, "is not in kind 1; `move` takes"),
        (lambda store: store.divide(ONE, [sha(0), sha(1), sha(2)], "anna"), Refused, "all of kind 1; `rename` it"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    store: Store,
    queries: Queries,
    ids: list[int],
    correct: Callable[[Store], object],
    error: type[Exception],
    says: str,
) -> None:
    before = (queries.revision(), len(queries.history()), kinds(queries))
    with pytest.raises(error, match=says):
        correct(store)
    assert (queries.revision(), len(queries.history()), kinds(queries)) == before


def test_a_round_that_ran_meanwhile_is_repeated_and_loses_nothing(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    base = queries.revision()
    store.move([sha(0)], THREE, "anna")
    with pytest.raises(Outdated):
        next_round(store, queries, by_threes(ids), base=base)
    next_round(store, queries, by_threes(ids), base=queries.revision())
    assert kinds(queries)[0] == THREE


def test_people_and_rounds_at_once_lose_nothing(store: Store, queries: Queries, ids: list[int]) -> None:
    def correct(number: int) -> None:
        store.move([sha(number)], THREE, f"person {number}")

    people = [threading.Thread(target=correct, args=(number,)) for number in range(6)]
    for person in people:
        person.start()
    while any(person.is_alive() for person in people):
        try:
            next_round(store, queries, by_threes(ids), base=queries.revision())
        except Outdated:
            continue
    for person in people:
        person.join()
    assert kinds(queries) == [THREE] * 9
    assert sum(event.type is EventType.MOVED for event in queries.history()) == 6


def test_votes_between_rounds_follow_a_merge(store: Store, queries: Queries, ids: list[int]) -> None:
    store.merge([ONE], TWO, "anna")
    (late,) = store.add(pictures([20]))
    votes = assign({late: ONE}, probability=0.5, core=False)
    wanted, decided_N = overrule(votes, queries.facts())
    store.revise(wanted, overruled=rows_of(votes, decided_N))
    assert kinds(queries)[-1] == TWO
    assert np.isclose(queries.assignments([late]).probability_N[0], 0.5)
    assert said(queries)[-1] == ONE
