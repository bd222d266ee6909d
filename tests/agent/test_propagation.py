"""Walks that end in kinds, against solving for where they end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.propagation import INERTIA, WALK, at_home, propagate, winners


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_shares_are_those_of_walks_followed_step_by_step(seed: int):
    """Zhu and Ghahramani 2002: clamp, average over neighbours, clamp again."""
    rng = np.random.default_rng(seed)
    count, k, kinds = 40, 4, 3
    neighbour_NK = rng.integers(0, count, (count, k))
    core_N = np.where(rng.random(count) < 0.2, rng.integers(0, kinds, count), -1)
    expected = np.eye(kinds + 1)[core_N][:, :kinds]
    clamped = expected.copy()
    for _ in range(WALK):
        expected = np.where((core_N >= 0)[:, None], clamped, expected[neighbour_NK].mean(axis=1))
    assert np.allclose(propagate(neighbour_NK, core_N, kinds), expected, atol=1e-5)


def test_walks_end_in_the_kind_they_meet():
    """A chain 0 - 1 - 2 - 3 - 4 with ends of different kinds: the shares are linear in between (gambler's ruin)."""
    neighbour_NK = np.array([[1, 1], [0, 2], [1, 3], [2, 4], [3, 3]])
    share = propagate(neighbour_NK, np.array([0, -1, -1, -1, 1]), 2)
    assert np.allclose(share[:, 0], [1, 0.75, 0.5, 0.25, 0], atol=1e-3)


def test_what_no_walk_can_reach_belongs_nowhere():
    neighbour_NK = np.array([[1], [0], [3], [2]])
    label, probability = winners(propagate(neighbour_NK, np.array([0, -1, -1, -1]), 1))
    assert label.tolist() == [0, 0, -1, -1]
    assert probability.tolist() == [1, 1, 0, 0]


def test_a_picture_changes_sides_only_for_more_than_a_little():
    share = np.array([[1, 0], [1, 0], [0, 1], [0.45, 0.55], [0.3, 0.7], [0.45, 0.55], [0.1, 0.0]], dtype=np.float32)
    label, share_of_it = winners(share)
    before = np.array([7, 7, 4, 7, 7, -1, 7])
    again, sure = at_home(share, label, share_of_it, before)
    assert again.tolist() == [0, 0, 1, 0, 1, 1, 0]
    assert sure[3] == pytest.approx(0.45 + INERTIA)
    assert sure[5] == pytest.approx(0.55)
    as_before, as_sure = at_home(share, label, share_of_it, np.full(7, -1))
    assert as_before is label
    assert as_sure is share_of_it
    gone_N = np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.bool_)  # a kind of which nothing is left anywhere has no home
    left_NK = np.where(gone_N[:, None], 0, share)
    left_N, left_sure_N = np.where(gone_N, -1, label), np.where(gone_N, 0, share_of_it)
    assert at_home(left_NK, left_N, left_sure_N, gone_N.astype(np.int64))[0][6] == -1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_benefit_of_the_doubt_is_that_of_shares_that_were_raised(seed: int):
    rng = np.random.default_rng(seed)
    share = np.round(rng.dirichlet(np.ones(3), 30), 2).astype(np.float32) * (rng.random((30, 1)) < 0.9)
    before = rng.integers(-1, 4, 30)
    label, sure = winners(share)
    raised = share.copy()
    for kind in set(before[(before >= 0) & (label >= 0)].tolist()):
        home = np.bincount(label[(before == kind) & (label >= 0)], minlength=3).argmax()
        raised[before == kind, home] += np.float32(INERTIA)
    expected, expected_sure = winners(raised)
    found, found_sure = at_home(share, label, sure, before)
    assert found.tolist() == expected.tolist()
    assert found_sure.tolist() == expected_sure.tolist()
