"""What is counted when identities are measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.identity import Change, mean_of, mine, scores, undone
from benchmarks.returning import heir, mostly
from benchmarks.world import Pair

PAIR = Pair(1, 2, apart_from=3, apart_until=6)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [([1, 1, 1, 2], {1}), ([1, 1, 2, 2], {1, 2}), ([1, 1, 1, 2, 2, 3], {1, 2}), ([4], {4})],
)
def test_a_kind_is_mostly_of_as_few_classes_as_make_it_up(classes: list[int], expected: set[int]) -> None:
    assert mostly(np.array(classes)) == expected


def test_the_heir_has_most_of_what_is_still_assigned() -> None:
    kind_of = {1: 7, 2: 7, 3: 8, 4: -1, 5: -1, 6: -1}
    assert heir(np.arange(1, 7), kind_of) == 7


def test_a_name_holds_what_it_has_of_its_first_pictures() -> None:
    kind_of = {1: 7, 2: 7, 3: 8, 4: -1}
    assert mine(np.arange(1, 5), 7, kind_of) == 0.5
    assert mine(np.arange(1, 4), 7, kind_of) == pytest.approx(2 / 3)
    assert mine(np.arange(3, 5), 7, kind_of) == 0


def test_runs_in_which_nobody_returned_do_not_count() -> None:
    assert mean_of([{"key": 1.0}, {"key": None}, {"key": 0.5}], "key") == 0.75
    assert mean_of([{"key": None}], "key") == 0


def told(number: int, kind: int, classes: set[int]) -> Change:
    return Change(number, kind, frozenset({9}), frozenset(classes))


def test_events_are_right_in_time_and_for_their_classes_and_once_of_each_kind() -> None:
    planted = [(10, PAIR)]
    right, early, other = told(11, 5, {1, 2}), told(9, 5, {1, 2}), told(11, 5, {1, 5})
    assert scores("split", [right], planted) == {"split_f1": 1.0, "split_precision": 1.0, "split_recall": 1.0}
    assert scores("split", [early, other], planted)["split_f1"] == 0
    assert scores("split", [right, right], planted)["split_precision"] == 0.5
    assert scores("split", [right, told(12, 6, {1, 2})], planted)["split_precision"] == 1.0
    assert scores("split", [], [])["split_precision"] == 1.0


def test_a_split_is_undone_when_its_parts_are_one_again_soon() -> None:
    split = Change(10, 5, frozenset({8, 9}), frozenset())
    soon, late = Change(12, 9, frozenset({5}), frozenset()), Change(30, 9, frozenset({5}), frozenset())
    elsewhere = Change(12, 9, frozenset({4}), frozenset())
    assert undone(split, [soon])
    assert not undone(split, [late, elsewhere])
