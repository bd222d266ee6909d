"""Who speaks for the kinds that people made."""

from __future__ import annotations

import numpy as np

from agent.voices import Voices

# two of kind 5 that a person put there, one that followed, three of other kinds, one that is not heard
VOICES = Voices(np.array([5, 5, 5, -1, -1, -1, -1]), np.array([2, 2, 1, 1, 1, 1, 0], dtype=np.float32))


def chosen(rows: list[int], cosines: list[float]) -> int:
    return int(VOICES.chosen(np.array([rows]), np.array([cosines], dtype=np.float32))[0])


def test_a_persons_word_counts_twice() -> None:
    assert chosen([0, 3], [0.9, 0.9]) == 5
    assert chosen([2, 3, 4], [0.9, 0.9, 0.9]) == -1


def test_the_nearer_ones_count_more() -> None:
    assert chosen([2, 3, 4, 5], [0.99, 0.9, 0.9, 0.9]) == 5
    assert chosen([3, 0, 1], [0.99, 0.9, 0.9]) == -1


def test_only_the_nearest_are_asked_and_some_are_not_heard() -> None:
    assert chosen([6] * 8 + [0], [0.9] * 9) == -1
    assert chosen([6] * 7 + [0], [0.9] * 8) == 5


def test_copies_divide_by_no_zero() -> None:
    assert chosen([0, 3], [1.0, 1.0]) == 5


def test_kinds_are_called_otherwise_elsewhere() -> None:
    assert VOICES.of_kinds(lambda kind: kind + 1).of_N.tolist() == [6, 6, 6, -1, -1, -1, -1]
