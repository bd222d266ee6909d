"""What is known of observations beforehand goes with them."""

from __future__ import annotations

import numpy as np
import pytest

from agent.observations import Observations
from agent.score import agreement


@pytest.fixture
def seen() -> Observations:
    points_ND = np.eye(4, dtype=np.float32)
    return Observations(points_ND, np.array([1, 2, 3, 4]), 5, 10, np.array([0, 0, 1, -1]), np.array([7, 8, 9, 9]))


def test_some_of_them_in_their_order(seen: Observations):
    some = seen.rows(np.array([3, 1]))
    assert some.points_ND.argmax(axis=1).tolist() == [3, 1]
    assert some.weight_N.tolist() == [4, 2]
    assert some.before_N is not None
    assert some.before_N.tolist() == [-1, 0]
    assert some.track_N is not None
    assert some.track_N.tolist() == [9, 8]
    assert (some.min_samples, some.min_size) == (5, 10)


def test_continuity_asks_only_what_had_a_kind(seen: Observations):
    assert seen.continuity(np.array([4, 4, 2, 0])) == 1
    cut = np.array([4, 5, 2, 0])
    assert seen.continuity(cut) == agreement(cut[:3], np.array([0, 0, 1]))
    nothing = Observations(seen.points_ND, seen.weight_N, 5, 10, np.full(4, -1))
    assert nothing.continuity(cut) == 1
