from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.shelf import Shelf


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_rows_are_those_of_a_matrix_from_which_rows_are_taken_and_into_which_they_are_put(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shelf, plain_ND = Shelf(3, np.float16), np.empty((0, 3), dtype=np.float16)
    for _ in range(6):
        coming_MD = rng.random((rng.integers(0, 9), 3)).astype(np.float16)
        total = len(plain_ND) + len(coming_MD)
        at_M = np.sort(rng.choice(total, len(coming_MD), replace=False))
        row_N = np.delete(np.arange(total), at_M)
        shelf.insert(coming_MD, row_N, at_M)
        together_ND = np.empty((total, 3), dtype=np.float16)
        together_ND[row_N], together_ND[at_M] = plain_ND, coming_MD
        stays_N = rng.random(total) < 0.7
        shelf.remove(stays_N)
        plain_ND = together_ND[stays_N]
        asked_M = rng.permutation(len(plain_ND))
        assert np.array_equal(shelf[asked_M], plain_ND[asked_M])


def test_who_comes_for_who_went_needs_no_more_memory() -> None:
    shelf = Shelf(2, np.float16)
    row_N, at_M = np.arange(10, 50), np.arange(10)
    shelf.insert(np.ones((50, 2), dtype=np.float16), np.empty(0, dtype=np.int64), np.arange(50))
    held = shelf._held_SD
    for _ in range(5):
        shelf.remove(np.arange(50) < 40)
        shelf.insert(np.zeros((10, 2), dtype=np.float16), row_N, at_M)
    assert shelf._held_SD is held
    assert shelf[np.arange(50)].tolist() == [[0, 0]] * 50
