from __future__ import annotations

import pytest

from benchmarks.metrics import agreement, hungarian_accuracy


def test_renamed_kinds_agree_perfectly() -> None:
    score = agreement(["a", "a", "b", "b"], [7, 7, 3, 3])
    assert (score.nmi, score.ari, score.accuracy, score.kinds, score.classes) == (1.0, 1.0, 1.0, 2, 2)


def test_unassigned_pictures_are_wrong_and_are_no_kind() -> None:
    score = agreement(["a", "a", "b", "b"], [7, 7, -1, -1])
    assert score.accuracy == 0.5
    assert score.kinds == 1
    assert score.assigned == 0.5


def test_a_split_class_counts_only_its_largest_part() -> None:
    assert hungarian_accuracy(["a"] * 4, [1, 1, 1, 2]) == 0.75


def test_two_classes_in_one_kind_count_only_one() -> None:
    assert hungarian_accuracy(["a", "a", "a", "b"], [1, 1, 1, 1]) == 0.75


@pytest.mark.parametrize("found", [[-1, -1], [5, 5]])
def test_degenerate_labellings(found: list[int]) -> None:
    score = agreement(["a", "b"], found)
    assert score.nmi == 0.0
    assert score.accuracy == (0.0 if found[0] == -1 else 0.5)
