"""What is stated of shares."""

from __future__ import annotations

import numpy as np
import pytest

from agent.calibration import stated
from agent.discovery import settled

SHARES = np.array([[0.64, 0.36], [0.0, 1.0], [0.3, 0.09], [0.0, 0.0]], dtype=np.float32)


def test_less_is_stated_than_the_share_but_for_none_and_all_and_in_the_same_order() -> None:
    shares = np.linspace(0, 1, 101, dtype=np.float32)
    probabilities = stated(shares)
    assert probabilities.dtype == np.float32
    assert (probabilities[1:-1] < shares[1:-1]).all()
    assert (probabilities[0], probabilities[-1]) == (0, 1)
    assert (np.diff(probabilities) > 0).all()
    assert stated(0.25) == 0.125


@pytest.mark.parametrize("before", [None, [-1, -1, -1, -1], [0, 1, 0, -1]])
def test_the_share_decides_who_is_assigned_and_the_probability_is_stated(before: list[int] | None) -> None:
    label_N, probability_N, sure_N = settled(SHARES, None if before is None else np.array(before))
    assert label_N.tolist() == [0, 1, 0, -1]
    assert probability_N == pytest.approx([0.512, 1, 0.3**1.5, 0])
    at_home = 0.15 if before and before[0] >= 0 else 0
    assert sure_N == pytest.approx([0.64 + at_home, 1, 0.3 + at_home, 0])
