"""Who was where, against looking it up one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.membership import SURE, aligned, majority, newest_members, with_leaders
from storage.records import Assignments, ClusterRecord, ClusterState
from tests.agent.shapes import assigned


@given(st.dictionaries(st.integers(1, 40), st.integers(-1, 4)), st.sets(st.integers(1, 40)), st.sets(st.integers(0, 4)))
@settings(max_examples=60, deadline=None)
def test_in_the_order_of_another_window(before: dict[int, int], window: set[int], living: set[int]):
    ids_N = np.array(sorted(window), dtype=np.int64)
    said = assigned(before)
    backwards = Assignments(said.picture_N[::-1], said.cluster_N[::-1], said.probability_N[::-1], said.core_N[::-1])
    found = aligned(backwards, ids_N, {i: ClusterRecord(i, ClusterState.ACTIVE) for i in living})
    expected = [before.get(i, -1) if before.get(i, -1) in living else -1 for i in ids_N.tolist()]
    assert found.cluster_N.tolist() == expected
    assert found.core_N.tolist() == [cluster >= 0 for cluster in expected]


def test_leaders_are_in_the_kinds_they_lead():
    led, which = with_leaders(assigned({1: 3, 2: -1, 5: 3}), {2: 9, 5: 8, 77: 9})
    assert led.cluster_N.tolist() == [3, 9, 8]
    assert which.tolist() == [False, True, True]


def test_of_even_kinds_the_older_is_the_majority():
    assert majority(np.array([7, 4, 4, 7, 9]), (7, 4)) == 4
    assert majority(np.array([7, 7, 4]), (4, 7)) == 7
    assert majority(np.array([7]), (4,)) == -1
    assert majority(np.array([7]), ()) == -1


def test_a_member_that_is_more_likely_elsewhere_is_no_sign_of_life():
    probability_N = np.array([1, 1, SURE - 0.01, SURE], dtype=np.float32)
    members = Assignments(np.array([4, 9, 12, 6]), np.array([1, 1, 1, 2]), probability_N, np.zeros(4, dtype=np.bool_))
    assert newest_members(members) == {1: 9, 2: 6}
