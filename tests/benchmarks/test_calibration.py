"""What is counted when probabilities are measured."""

from __future__ import annotations

import numpy as np
import pytest

from agent.calibration import EXPONENT, stated
from benchmarks.calibration import Asked, Classes, best_exponent, calibration_error, reliability


def by_chance(share_N: np.ndarray, exponent: float, seed: int = 0) -> Asked:
    """Right as often as the share to the exponent says."""
    right_N = np.random.default_rng(seed).random(len(share_N)) < share_N**exponent
    return Asked(share_N.astype(np.float32), {"majority": right_N, "home": right_N})


SHARES = np.random.default_rng(1).uniform(0.3, 1, 20_000)


def test_the_error_is_the_gap_in_each_bin() -> None:
    probability_N = np.array([0.32, 0.34, 0.36, 0.38, 1.0, 0.95], dtype=np.float32)
    right_N = np.array([True, False, False, False, True, False])
    assert calibration_error(probability_N, right_N) == pytest.approx((4 * (0.35 - 0.25) + 2 * (0.975 - 0.5)) / 6)


def test_what_is_right_as_often_as_it_says_has_no_error() -> None:
    asked = by_chance(SHARES, EXPONENT)
    assert calibration_error(stated(asked.share_N), asked.right["home"]) < 0.01
    assert calibration_error(asked.share_N, asked.right["home"]) > 0.1


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.5])
def test_the_exponent_that_answers_were_drawn_with_is_found(exponent: float) -> None:
    asked = by_chance(SHARES, exponent)
    assert best_exponent([{"propagated": [asked], "voted": [asked]}]) == exponent


def test_a_kind_of_two_classes_is_the_home_of_both_and_mostly_of_one() -> None:
    classes = Classes(np.array([0, 0, 0, 0, 0, 1, 1]), np.array([3, 3, 3, 4, 4, 5, 4]))
    asked = classes.asked(
        np.array([0, 0, 1, 1, -1]), np.ones(5, dtype=np.float32), np.array([3, 4, 4, 9, 3]), np.arange(5) < 4
    )
    assert asked.right["majority"].tolist() == [True, False, True, False]
    assert asked.right["home"].tolist() == [True, True, False, False]


def test_every_bin_that_holds_any_is_told() -> None:
    rows = reliability([by_chance(SHARES, EXPONENT), by_chance(SHARES, EXPONENT, 2)])
    assert sum(row["pictures"] for row in rows) == 2 * len(SHARES)
    assert [row["stated"] for row in rows] == sorted(row["stated"] for row in rows)
    for row in rows:
        assert row["stated"] == pytest.approx(row["home"], abs=0.05)
