"""Who lives on where, against counting and trying all pairs."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.matching import CORE, PROPAGATED, Contingency, Match, count_members, guests_of, hungarian, match, wishes

HALF = PROPAGATED + CORE + CORE
"""Weight of a member that was core and is."""


def table(shared: list[list[float]], lost: list[float] | None = None, new: list[float] | None = None) -> Contingency:
    """Kinds 1, 2, .. in rows; what each has lost to no label, and what labels have of new pictures."""
    shared_OL = np.array(shared, dtype=np.float64)
    lost_O = np.zeros(len(shared)) if lost is None else np.array(lost)
    new_L = np.zeros(shared_OL.shape[1]) if new is None else np.array(new)
    ids = tuple(range(1, len(shared) + 1))
    return Contingency(ids, shared_OL, shared_OL.sum(axis=1) + lost_O, shared_OL.sum(axis=0) + new_L)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_members_are_counted_one_by_one(seed: int):
    rng = np.random.default_rng(seed)
    old, label = rng.choice([-1, 4, 7, 9], 60), rng.integers(-1, 3, 60)
    was, is_core = rng.random(60) < 0.5, rng.random(60) < 0.5
    counted = count_members(old, label, was, is_core, {9, 4}, 3)
    shared, total, whole = np.zeros((2, 3)), np.zeros(2), np.zeros(3)
    for o, new, w, i in zip(old, label, was, is_core, strict=True):
        weight = PROPAGATED + CORE * w + CORE * i
        if o in (4, 9):
            total[(4, 9).index(o)] += weight
        if new >= 0:
            whole[new] += weight
            if o in (4, 9):
                shared[(4, 9).index(o), new] += weight
    assert counted.ids == (4, 9)
    assert np.allclose(counted.shared_OL, shared)
    assert np.allclose(counted.total_O, total)
    assert np.allclose(counted.label_L, whole)


def test_new_pictures_make_no_kind_less_like_itself():
    few, many = table([[8, 0], [0, 4]]), table([[8, 0], [0, 4]], new=[100, 0])
    assert few.jaccard_OL().tolist() == many.jaccard_OL().tolist() == [[1, 0], [0, 1]]
    assert table([[6, 2], [2, 4]]).jaccard_OL()[0, 0] == pytest.approx(6 / 10)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_no_other_pairs_are_worth_more(seed: int):
    """Named before nameless, older before younger, then Jaccard: all assignments tried."""
    rng = np.random.default_rng(seed)
    counted = table((rng.integers(0, 5, (4, 4)) * rng.integers(0, 2, (4, 4))).tolist())
    named = {int(i) for i in rng.choice([1, 2, 3, 4], 2, replace=False)}
    wanted = wishes(counted, named)
    pairs = hungarian(counted, wanted, named)
    assert len({row for row, _ in pairs}) == len({label for _, label in pairs}) == len(pairs)
    assert all(wanted[row, label] for row, label in pairs)

    def worth(chosen: list[tuple[int, int]]) -> tuple[float, ...]:
        ranked = sorted((row for row, _ in chosen), key=lambda row: (counted.ids[row] not in named, row))
        names = sum(counted.ids[row] in named for row in ranked)
        return (names, len(ranked))

    best = max(
        worth([(row, label) for row, label in enumerate(columns) if wanted[row, label]])
        for columns in permutations(range(4))
    )
    assert worth(pairs) == best


def test_the_majority_lives_on_and_the_rest_splits_off():
    assert match(table([[6, 4]]), set()) == Match({0: (1,)}, {}, (), (), {1: (1,)}, {})


def test_the_older_stays_where_two_become_one():
    found = match(table([[4.0], [9.0]]), set())
    assert (found.heirs, found.absorbed) == ({0: (1,)}, {2: 0})


def test_a_name_outweighs_age_and_two_names_stay_two():
    assert match(table([[9.0], [9.0]]), {2}).heirs == {0: (2,)}
    assert match(table([[9.0], [9.0]]), {1, 2}).heirs == {0: (1, 2)}


def test_without_a_majority_a_kind_dissolves_unless_it_has_a_name():
    thirds = [[3.0, 3.0, 3.0]]
    assert match(table(thirds), set()).dissolved == (1,)
    assert match(table(thirds), {1}).heirs == {0: (1,)}


def test_a_kind_whose_density_was_not_found_is_missing_and_claims_nothing():
    found = match(table([[1, 0], [0, 5]], lost=[9, 0]), set())
    assert found.missing == (1,)
    assert found.heirs == {1: (2,)}


def test_a_small_named_kind_is_a_guest_among_nameless_ones():
    counted = table([[1.0], [9.0]])
    assert guests_of(counted, {1}) == {0: (1,)}
    assert guests_of(counted, {1, 2}) == {}
    found = match(counted, {1})
    assert (found.heirs, found.guests, found.absorbed) == ({0: (2,)}, {0: (1,)}, {})


def test_a_label_is_a_child_by_what_it_took_or_by_what_it_is_made_of():
    tenth = table([[9, 1]], new=[0, 0.5])
    assert match(tenth, set()).children == {1: (1,)}
    mostly_new = table([[9, 1]], new=[0, 5])
    assert match(mostly_new, set()).children == {}


def test_nothing_to_match():
    empty = Contingency((), np.zeros((0, 0)), np.zeros(0), np.zeros(0))
    assert match(empty, set()) == Match({}, {}, (), (), {}, {})
