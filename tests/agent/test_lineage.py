"""Every transition of a kind, drawn by hand, and what must hold for any history.

Tables read: rows are the last round's kinds, columns this round's labels, cells the pictures they share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import ClusterConfig
from agent.lineage import LineageResult, follow
from agent.partition import Partition
from agent.round_context import RoundContext
from agent.second_sight import LASTING
from storage.records import Assignments, ClusterRecord, ClusterState, EventType
from tests.agent.shapes import assigned, drawn

CONFIG = ClusterConfig(dormant_after=100, patience=3)


def kinds(*records: ClusterRecord) -> dict[int, ClusterRecord]:
    return {record.id: record for record in records}


def active(cluster: int, name: str = "", last: int = 0, size: int = 0, **more: object) -> ClusterRecord:
    record = ClusterRecord(cluster, ClusterState.ACTIVE, name, last_new_picture=last, statistics={"size": float(size)})
    return replace(record, **more)  # type: ignore[arg-type]


def spread(table: Mapping[tuple[int, int], int]) -> tuple[dict[int, int], dict[int, int]]:
    """(kind, label) -> number of pictures, as picture id -> kind and picture id -> label; kind 0 means new."""
    old: dict[int, int] = {}
    new: dict[int, int] = {}
    numbers = count(1)
    for (kind, label), pictures in table.items():
        for _ in range(pictures):
            picture = next(numbers)
            new[picture] = label
            if kind:
                old[picture] = kind
    return old, new


def round_of(
    table: Mapping[tuple[int, int], int],
    previous: dict[int, ClusterRecord],
    *,
    new_pictures: int = 0,
    idle: bool = False,
    newest: int = 0,
    stability: float = 0.0,
    first_id: int = 100,
    first_sight: bool = False,
    valley: float = 0.0,
) -> LineageResult:
    """A round; changes of kinds are such as the round before has seen already, unless it is the first sight of them."""
    old, new = spread(table)
    if not first_sight:
        previous = {i: replace(r, statistics={**r.statistics, "doubted": 1.0}) for i, r in previous.items()}
    numbers: Iterator[int] = count(first_id)
    context = RoundContext(
        newest or max(new, default=0), new_pictures, idle, lambda: next(numbers), valley=lambda one_N, other_N: valley
    )
    return follow(previous, assigned(old), drawn(new, stability=stability), context, CONFIG)


def told(result: LineageResult) -> list[tuple[EventType, int | None, tuple[int, ...]]]:
    return [(event.type, event.cluster_id, event.other_ids) for event in result.events]


def states(result: LineageResult) -> dict[int, ClusterState]:
    return {record.id: record.state for record in result.clusters}


def sizes(result: LineageResult) -> dict[int, int]:
    ids, number = np.unique(result.assignments.cluster_N, return_counts=True)
    return dict(zip(ids.tolist(), number.tolist(), strict=True))


def test_a_kind_by_which_people_placed_pictures_is_not_absorbed_and_does_not_end():
    previous = kinds(active(1, size=20), active(2, size=10, placed=True))
    result = round_of({(1, 0): 20, (2, 0): 10}, previous)
    assert told(result) == [(EventType.ABSORBED, 1, (2,))]
    previous = kinds(active(1, "moths", size=20), active(2, size=10, placed=True))
    result = round_of({(1, 0): 20, (2, 0): 10}, previous)
    assert sizes(result) == {1: 20, 2: 10}
    assert told(result) == []
    for _ in range(CONFIG.patience + 1):
        result = round_of({(1, 0): 20, (2, -1): 10}, previous)
        previous = previous | kinds(*result.clusters)
    assert EventType.DISAPPEARED not in {kind for kind, _, _ in told(result)}
    assert sizes(result)[2] == 10


def test_first_round_emerges_everything():
    #        a   b
    # new   10   8
    result = round_of({(0, 0): 10, (0, 1): 8}, {}, new_pictures=18)
    assert told(result) == [(EventType.EMERGED, 100, ()), (EventType.EMERGED, 101, ())]
    assert states(result) == {100: ClusterState.PROVISIONAL, 101: ClusterState.PROVISIONAL}
    assert sizes(result) == {100: 10, 101: 8}
    assert result.kind_of == {0: 100, 1: 101}


def test_kinds_survive_a_shuffle_of_labels():
    #        a   b
    # 1      1   9
    # 2      9   1
    result = round_of({(1, 1): 9, (1, 0): 1, (2, 0): 9, (2, 1): 1}, kinds(active(1), active(2)))
    assert told(result) == []
    assert result.kind_of == {0: 2, 1: 1}


def test_provisional_is_confirmed_by_a_second_round_with_new_pictures():
    before = kinds(ClusterRecord(1, ClusterState.PROVISIONAL))
    assert told(round_of({(1, 0): 10, (0, 0): 2}, before, new_pictures=2)) == [(EventType.CONFIRMED, 1, ())]
    assert told(round_of({(1, 0): 10}, before, new_pictures=0)) == []


@pytest.mark.parametrize(("stability", "state"), [(0.9, ClusterState.ACTIVE), (0.2, ClusterState.PROVISIONAL)])
def test_idle_stream_confirms_what_is_stable(stability: float, state: ClusterState):
    result = round_of({(0, 0): 10}, {}, new_pictures=10, idle=True, stability=stability)
    assert states(result) == {100: state}


def test_split_keeps_the_id_in_the_child_with_the_majority():
    #        a   b
    # 1     12   8
    result = round_of({(1, 0): 12, (1, 1): 8}, kinds(active(1)))
    assert told(result) == [(EventType.SPLIT, 1, (100,))]
    assert sizes(result) == {1: 12, 100: 8}
    assert {r.id: r.parents for r in result.clusters} == {1: (), 100: (1,)}


def test_split_without_majority_ends_the_id():
    #        a   b   c
    # 1      8   7   5
    result = round_of({(1, 0): 8, (1, 1): 7, (1, 2): 5}, kinds(active(1)))
    assert told(result) == [(EventType.SPLIT, 1, (100, 101, 102))]
    assert states(result)[1] is ClusterState.ENDED
    assert {r.id: r.parents for r in result.clusters if r.id != 1} == {100: (1,), 101: (1,), 102: (1,)}
    assert result.heirs == {}


def test_members_that_are_nowhere_now_have_no_say_about_the_id():
    #        a   b  none
    # 1      6   4    10
    result = round_of({(1, 0): 6, (1, 1): 4, (1, -1): 10}, kinds(active(1, size=20)))
    assert told(result) == [(EventType.SPLIT, 1, (100,))]
    assert sizes(result) == {1: 6, 100: 4, -1: 10}


def test_named_kind_survives_a_split_without_majority():
    #            a   b   c
    # 1 "cat"    8   7   5
    result = round_of({(1, 0): 8, (1, 1): 7, (1, 2): 5}, kinds(active(1, "cat")))
    assert told(result) == [(EventType.SPLIT, 1, (100, 101))]
    assert sizes(result) == {1: 8, 100: 7, 101: 5}


def test_kinds_that_belong_together_have_the_number_of_the_oldest_whatever_the_tree_calls_its_nodes():
    old, new = spread({(3, 0): 10, (5, 1): 10, (7, 2): 10, (9, 3): 10})
    before = kinds(active(3), active(5), active(7), active(9))
    for first, second in ((41, 43), (57, 52)):
        part = replace(drawn(new), coarser={0: None, 1: first, 2: second, 3: first})
        result = follow(before, assigned(old), part, RoundContext(40, 0, False, lambda: 100), CONFIG)
        assert {record.id: record.coarser for record in result.clusters} == {3: None, 5: 5, 7: 7, 9: 5}


def test_a_kind_that_was_not_looked_at_is_no_part_of_one_that_ends():
    """Of the third the window holds nothing; it was grouped with the second, which the first takes over."""
    before = kinds(active(1, size=20), active(2, size=10), active(3, size=50, coarser=2), active(4, size=50, coarser=1))
    result = round_of({(1, 0): 20, (2, 0): 10}, before)
    assert told(result) == [(EventType.ABSORBED, 2, (1,))]
    assert {record.id: record.coarser for record in result.clusters}[3] is None
    assert (before | kinds(*result.clusters))[4].coarser == 1


# -------------------------------------------------------------------- changes wait for a second round

SPLIT, DISSOLVED = {(1, 0): 12, (1, 1): 8}, {(1, 0): 8, (1, 1): 7, (1, 2): 5}
MERGED = {(3, 0): 6, (7, 0): 20}


@pytest.mark.parametrize("table", [SPLIT, DISSOLVED])
def test_a_split_waits_until_it_is_seen_again(table: dict[tuple[int, int], int]):
    first = round_of(table, kinds(active(1)), first_sight=True)
    assert told(first) == []
    assert sizes(first) == {1: 20}
    assert set(first.kind_of.values()) == {1}
    second = round_of(table, kinds(*first.clusters), first_sight=True)
    assert [kind for kind, _, _ in told(second)] == [EventType.SPLIT]


@pytest.mark.parametrize("table", [SPLIT, DISSOLVED])
def test_parts_without_a_valley_between_them_split_only_when_that_lasts(table: dict[tuple[int, int], int]):
    before = kinds(active(1))
    for _ in range(LASTING):
        result = round_of(table, before, first_sight=True, valley=0.5)
        assert told(result) == []
        assert sizes(result) == {1: 20}
        before = kinds(*result.clusters)
    assert [kind for kind, _, _ in told(round_of(table, before, first_sight=True, valley=0.5))] == [EventType.SPLIT]


def test_of_several_parts_only_what_is_apart_splits_off():
    #        a   b   c
    # 1     12   5   6    no valley to c
    old, new = spread({(1, 0): 12, (1, 1): 5, (1, 2): 6})
    context = RoundContext(23, 0, False, lambda: 100, valley=lambda one_N, other_N: 0.5 * (other_N.sum() == 6))
    result = follow(kinds(active(1, statistics={"doubted": 1.0})), assigned(old), drawn(new), context, CONFIG)
    assert told(result) == [(EventType.SPLIT, 1, (100,))]
    assert sizes(result) == {1: 18, 100: 5}


def test_where_two_kinds_touch_without_a_valley_nothing_splits_off():
    #        a   b   c
    # 1     12   0   5
    # 2      0  12   5
    table = {(1, 0): 12, (2, 1): 12, (1, 2): 5, (2, 2): 5}
    result = round_of(table, kinds(active(1), active(2)), valley=0.5)
    assert told(result) == []
    assert sizes(result) == {1: 17, 2: 17}
    apart = round_of(table, kinds(active(1), active(2)))
    assert told(apart) == [(EventType.SPLIT, 1, (100,)), (EventType.SPLIT, 2, (100,))]


def test_a_part_of_a_kind_that_is_absorbed_does_not_wait_for_a_kind_that_has_ended():
    #        a   b
    # 1     20   0
    # 2     12   8    b is not stable
    old, new = spread({(1, 0): 20, (2, 0): 12, (2, 1): 8})
    statistics = {0: {"stability": 0.9}, 1: {"stability": 0.1}}
    context = RoundContext(40, 0, True, lambda: 100)
    part = replace(drawn(new), statistics=statistics)
    result = follow(kinds(active(1), active(2)), assigned(old), part, context, CONFIG)
    ended = {record.id for record in result.clusters if record.state is ClusterState.ENDED}
    assert ended == {2}
    assert sizes(result) == {1: 32, 100: 8}


def test_a_merge_waits_until_it_is_seen_again():
    first = round_of(MERGED, kinds(active(3), active(7)), first_sight=True)
    assert told(first) == []
    assert sizes(first) == {3: 6, 7: 20}
    assert told(round_of(MERGED, kinds(*first.clusters), first_sight=True)) == [(EventType.ABSORBED, 7, (3,))]


def test_what_goes_to_several_others_waits_too():
    table = {(5, 0): 7, (5, 1): 7, (5, 2): 6, (2, 0): 30, (3, 1): 30, (4, 2): 30}
    first = round_of(table, kinds(active(2), active(3), active(4), active(5)), first_sight=True)
    assert told(first) == []
    assert sizes(first) == {2: 30, 3: 30, 4: 30, 5: 20}
    assert told(round_of(table, kinds(*first.clusters), first_sight=True)) == [(EventType.SPLIT, 5, (2, 3, 4))]


def test_what_is_not_seen_again_is_forgotten():
    first = round_of(SPLIT, kinds(active(1)), first_sight=True)
    quiet = round_of({(1, 0): 20}, kinds(*first.clusters), first_sight=True)
    again = round_of(SPLIT, kinds(*quiet.clusters), first_sight=True)
    assert told(quiet) == told(again) == []


@pytest.mark.parametrize(
    ("state", "options"),
    [
        (ClusterState.PROVISIONAL, {}),
        (ClusterState.ACTIVE, {"new_pictures": 10}),
        (ClusterState.ACTIVE, {"idle": True, "stability": 0.9}),
    ],
    ids=["not yet confirmed", "half of the window is new", "stable when idle"],
)
def test_some_changes_do_not_wait(state: ClusterState, options: dict[str, float]):
    result = round_of(SPLIT, kinds(active(1, state=state)), first_sight=True, **options)  # type: ignore[arg-type]
    assert EventType.SPLIT in [kind for kind, _, _ in told(result)]


def test_what_had_only_a_vote_does_not_split_off_but_emerges():
    old, new = spread({(1, 0): 12, (1, 1): 8})
    context = RoundContext(20, 8, False, lambda: 100, seen_through=12)
    result = follow(kinds(active(1)), assigned(old), drawn(new), context, CONFIG)
    assert told(result) == [(EventType.EMERGED, 100, ())]
    assert sizes(result) == {1: 12, 100: 8}


def test_merge_keeps_the_older_id():
    #        a
    # 3      6
    # 7     20
    result = round_of({(3, 0): 6, (7, 0): 20}, kinds(active(3), active(7)))
    assert told(result) == [(EventType.ABSORBED, 7, (3,))]
    assert states(result)[7] is ClusterState.ENDED
    assert sizes(result) == {3: 26}
    assert result.heirs == {7: 3}


def test_merge_keeps_the_named_id_before_the_older():
    #            a
    # 3         20
    # 7 "cat"    6
    result = round_of({(3, 0): 20, (7, 0): 6}, kinds(active(3), active(7, "cat")))
    assert told(result) == [(EventType.ABSORBED, 3, (7,))]
    assert sizes(result) == {7: 26}


def test_two_named_kinds_are_never_merged():
    #            a
    # 3 "dog"   20
    # 7 "cat"    6
    # new        4
    result = round_of({(3, 0): 20, (7, 0): 6, (0, 0): 4}, kinds(active(3, "dog"), active(7, "cat")))
    assert told(result) == []
    assert sizes(result) == {3: 24, 7: 6}
    assert result.kind_of == {0: 3}


CATS = {(3, 0): 1000, (7, 0): 30}


def test_a_name_does_not_go_to_a_large_kind_that_has_none():
    #             a
    # 3        1000
    # 7 "cat"    30
    result = round_of(CATS, kinds(active(3), active(7, "cat")))
    assert told(result) == []
    assert sizes(result) == {3: 1000, 7: 30}
    assert result.kind_of == {0: 3}


def test_what_else_lies_in_the_label_goes_to_its_host_and_not_to_the_guest():
    #             a    b
    # 3          40    0
    # 5          20   10
    # 7 "cat"     2    0
    result = round_of({(3, 0): 40, (5, 0): 20, (5, 1): 10, (7, 0): 2}, kinds(active(3), active(5), active(7, "cat")))
    assert told(result) == [(EventType.SPLIT, 5, (100,)), (EventType.ABSORBED, 5, (3,))]
    assert sizes(result) == {3: 60, 7: 2, 100: 10}


def test_part_of_a_kind_splits_off_beside_a_guest():
    #             a    b
    # 3         600  400
    # 7 "cat"     0   30
    table, before = {(3, 0): 600, (3, 1): 400, (7, 1): 30}, kinds(active(3), active(7, "cat"))
    first = round_of(table, before, first_sight=True)
    assert told(first) == []
    assert sizes(first) == {3: 1000, 7: 30}
    second = round_of(table, kinds(*first.clusters), first_sight=True)
    assert told(second) == [(EventType.SPLIT, 3, (100,))]
    assert sizes(second) == {3: 600, 100: 400, 7: 30}
    assert {record.id: record.parents for record in second.clusters}[100] == (3,)


def test_a_guest_leaves_alone_what_the_window_holds_too_little_of():
    result = round_of(CATS | {(0, 0): 5}, kinds(active(3, size=5000), active(7, "cat")))
    assert told(result) == []
    assert sizes(result) == {3: 1005, 7: 30}


@pytest.mark.parametrize("voted", [{}, {41: 3, 42: 3, 43: 7}], ids=["new", "voted on since"])
def test_a_guest_grows_by_newcomers_that_lie_beside_it(voted: dict[int, int]):
    # 1 to 38 are kind 3; 39, 40 are "cat"; 41 lies beside the cats, 42 beside 41 only, 43 beside kind 3.
    members = dict.fromkeys(range(1, 39), 3) | {39: 7, 40: 7}
    rows = [[row, row] for row in range(40)] + [[38, 39], [40, 40], [0, 1]]
    part = replace(drawn(dict.fromkeys(range(1, 44), 0)), neighbour_NK=np.array(rows))
    context = RoundContext(43, 3, False, lambda: 100, seen_through=40)
    result = follow(kinds(active(3), active(7, "cat")), assigned(members | voted), part, context, CONFIG)
    assert result.assignments.cluster_N.tolist() == [3] * 38 + [7] * 4 + [3]


def test_new_pictures_of_a_shared_label_follow_their_neighbours():
    # 1, 2 are "dog"; 3, 4 are "cat"; 5 lies beside the cats, 6 beside 5 only, all with one label.
    neighbours = np.array([[1, 1], [0, 0], [3, 3], [2, 2], [2, 3], [4, 4]])
    part = replace(drawn(dict.fromkeys(range(1, 7), 0)), neighbour_NK=neighbours)
    before = assigned({1: 3, 2: 3, 3: 7, 4: 7})
    context = RoundContext(6, 2, False, lambda: 100)
    result = follow(kinds(active(3, "dog"), active(7, "cat")), before, part, context, CONFIG)
    assert result.assignments.cluster_N.tolist() == [3, 3, 7, 7, 7, 7]


def test_dormant_after_silence_and_revived_by_a_new_member():
    result = round_of({(1, 0): 10}, kinds(active(1, last=10)), newest=110)
    assert told(result) == [(EventType.DORMANT, 1, ())]
    asleep = kinds(active(1, last=10, state=ClusterState.DORMANT))
    assert told(round_of({(1, 0): 10}, asleep, newest=120)) == []
    # Picture 11 is new and joins.
    assert told(round_of({(1, 0): 10, (0, 0): 1}, asleep, newest=12)) == [(EventType.REVIVED, 1, ())]


def test_a_stray_does_not_wake_a_kind():
    asleep = kinds(active(1, last=10, state=ClusterState.DORMANT))
    old, new = spread({(1, 0): 10, (0, 0): 1})
    for stated, expected in ((0.4, []), (0.6, [(EventType.REVIVED, 1, ())])):
        part = replace(drawn(new), probability_N=np.array([*[1.0] * 10, stated], dtype=np.float32))
        assert told(follow(asleep, assigned(old), part, RoundContext(12, 1, False, lambda: 100), CONFIG)) == expected


def test_a_kind_without_density_keeps_its_members_until_patience_ends():
    #        a  none
    # 1     10     0
    # 2      1     9
    table = {(1, 0): 10, (2, 0): 1, (2, -1): 9}
    before = kinds(active(1), active(2, size=10))
    for absent in (1, 2):
        result = round_of(table, before)
        assert told(result) == []
        assert sizes(result) == {1: 10, 2: 10}
        assert {r.id: r.absent_rounds for r in result.clusters}[2] == absent
        before |= {record.id: record for record in result.clusters}
    result = round_of(table, before)
    assert told(result) == [(EventType.DISAPPEARED, 2, ())]
    assert sizes(result) == {1: 11, -1: 9}


def test_a_named_kind_without_density_stays():
    before = kinds(active(2, "cat", size=10, absent_rounds=50))
    result = round_of({(2, -1): 10}, before)
    assert told(result) == []
    assert sizes(result) == {2: 10}


def test_a_window_that_holds_little_of_a_kind_says_nothing_about_it():
    # 300 members when it was last found; the window holds 20 of them, unassigned, or swallowed by kind 1.
    before = kinds(active(1), active(2, size=300))
    for label in (-1, 0):
        result = round_of({(1, 0): 30, (2, label): 20}, before)
        assert told(result) == []
        assert sizes(result) == {1: 30, 2: 20}
        assert 2 not in {r.id for r in result.clusters if r.absent_rounds}


@pytest.mark.parametrize("newcomers_in", [0, 3], ids=["beside its members", "apart from them"])
def test_what_a_window_holds_too_little_of_leaves_no_kinds_without_members(newcomers_in: int):
    # 100 members when it was last found; the window holds 30 of them, which go three ways, and 40 new pictures.
    table = {(1, 0): 11, (1, 1): 10, (1, 2): 9} | {(0, newcomers_in): 40}
    result = round_of(table, kinds(active(1, size=100)), new_pictures=40)
    assert told(result) == [(EventType.EMERGED, 100, ())]
    assert sizes(result) == {1: 30, 100: 40}
    assert {record.id: record.parents for record in result.clusters} == {1: (), 100: ()}
    assert set(result.kind_of.values()) == {1, 100}


def test_members_of_a_kind_without_density_make_no_kind_that_has_none():
    result = round_of({(1, 0): 2, (1, -1): 10, (2, 1): 10}, kinds(active(1, size=12), active(2, size=10)))
    assert told(result) == []
    assert sizes(result) == {1: 12, 2: 10}
    assert result.kind_of == {0: 1, 1: 2}


def test_a_kind_outside_the_window_is_left_alone():
    result = round_of({(1, 0): 10}, kinds(active(1), active(2, last=5, size=40)), newest=50)
    assert told(result) == []
    assert 2 not in states(result)


def test_return_of_an_absent_kind_resets_its_absence():
    result = round_of({(1, 0): 10}, kinds(active(1, absent_rounds=2)))
    assert {r.id: r.absent_rounds for r in result.clusters} == {1: 0}


def test_a_kind_that_emerges_from_the_unassigned_has_no_parents():
    #        a   b
    # 1     20   2
    # new    0  10
    result = round_of({(1, 0): 20, (1, 1): 2, (0, 1): 10}, kinds(active(1)), new_pictures=10)
    assert told(result) == [(EventType.EMERGED, 100, ())]


def test_nothing_found_in_an_empty_window():
    context = RoundContext(0, 0, True, lambda: 1)
    result = follow({}, assigned({}), drawn({}), context, CONFIG)
    assert result.clusters == ()
    assert len(result.assignments.picture_N) == 0


# -------------------------------------------------------------------- any history

PICTURES = 40
ROUND = st.lists(st.integers(-1, 4), min_size=PICTURES, max_size=PICTURES)


def compact(labels: list[int]) -> dict[int, int]:
    numbers = {label: number for number, label in enumerate(sorted(set(labels) - {-1}))}
    return {picture + 1: numbers.get(label, -1) for picture, label in enumerate(labels)}


@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(ROUND, min_size=1, max_size=6),
    windows=st.lists(st.sampled_from([8, 20, PICTURES]), min_size=6, max_size=6),
    new_pictures=st.sampled_from([1, PICTURES]),
    names=st.sets(st.integers(1, 12)),
)
def test_histories(rounds: list[list[int]], windows: list[int], new_pictures: int, names: set[int]):
    issued = count(1)
    living: dict[int, ClusterRecord] = {}
    ended: set[int] = set()
    had_members: set[int] = set()
    known: dict[int, int] = {}
    for labels, window in zip(rounds, windows, strict=False):
        partition = drawn(compact(labels[:window]))
        context = RoundContext(PICTURES, new_pictures, False, lambda: next(issued))
        result = follow(living, assigned(known), partition, context, CONFIG)
        check_round(result, partition, living, ended)
        found = result.assignments
        known |= dict(zip(found.picture_N.tolist(), found.cluster_N.tolist(), strict=True))
        had_members.update(found.cluster_N.tolist())
        for record in result.clusters:
            if record.state is ClusterState.ENDED:
                ended.add(record.id)
                living.pop(record.id, None)
            else:
                name = "named" if record.id in names else ""
                living[record.id] = replace(record, name=name)
        assert living.keys() <= had_members, "a kind has members when it emerges"


def check_round(
    result: LineageResult, partition: Partition, living: Mapping[int, ClusterRecord], ended: set[int]
) -> None:
    after = {**living, **{record.id: record for record in result.clusters}}
    gone = {cluster for cluster, record in after.items() if record.state is ClusterState.ENDED}
    assert not ended & {record.id for record in result.clusters}, "an id is never used again"
    assert not [cluster for cluster in gone if after[cluster].name], "a named id never ends"
    assert_one_kind_each(result.assignments, partition)
    assert {*result.assignments.cluster_N.tolist()} - {-1} <= set(after) - gone, "members belong to living kinds only"
    assert set(result.heirs) <= gone
    assert set(result.heirs.values()) <= set(after) - gone
    assert set(result.kind_of) == set(partition.coarser), "every label has a kind"


def assert_one_kind_each(assignments: Assignments, partition: Partition) -> None:
    assert np.array_equal(assignments.picture_N, partition.ids_N)
    assert len(assignments.cluster_N) == len(assignments.probability_N) == len(partition.ids_N)
