"""Quotas of the window, and that it depends on nothing but the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.window import choose_window

RNG = np.random.default_rng(0)
IDS = np.arange(1, 1001)
KEYS = RNG.integers(0, 2**64, size=1000, dtype=np.uint64)


def test_everything_that_fits():
    assert np.array_equal(choose_window(IDS[::-1], KEYS, [], 1000), IDS)


def test_quotas():
    window = choose_window(IDS, KEYS, [5, 6, 7, 4000], 100)
    assert len(window) == 100
    assert {5, 6, 7} <= set(window.tolist())
    assert set(range(976, 1001)) <= set(window.tolist())
    rest = [i for i in window.tolist() if i < 976 and i not in (5, 6, 7)]
    others = [i for i in IDS.tolist() if i < 976 and i not in (5, 6, 7)]
    assert rest == sorted(sorted(others, key=lambda i: KEYS[i - 1])[: len(rest)])


def test_exemplars_do_not_fill_the_window():
    window = choose_window(IDS, KEYS, range(1, 501), 100)
    assert (window <= 500).sum() < 75
    assert (window > 975).sum() == 25


def test_the_reservoir_changes_only_for_smaller_keys():
    """Between two windows of a growing archive nothing comes back that was evicted."""
    first = set(choose_window(IDS[:600], KEYS[:600], [], 200, newest_share=0).tolist())
    later = set(choose_window(IDS, KEYS, [], 200, newest_share=0).tolist())
    assert {i for i in later if i <= 600} <= first


@given(size=st.integers(1, 60), count=st.integers(0, 80), seed=st.integers(0, 5))
def test_any_window(size: int, count: int, seed: int):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(500)[:count].astype(np.int64)
    keys = rng.integers(0, 2**64, size=count, dtype=np.uint64)
    exemplars = rng.integers(0, 500, size=20).tolist()
    window = choose_window(ids, keys, exemplars, size)
    assert len(window) == min(size, count) == len(set(window.tolist()))
    assert set(window.tolist()) <= set(ids.tolist())
    shuffle = rng.permutation(count)
    assert np.array_equal(window, choose_window(ids[shuffle], keys[shuffle], exemplars, size))


def sorted_whole(
    ids: np.ndarray, keys: np.ndarray, exemplar_ids: list[int], size: int, exemplar_share: float, newest_share: float
) -> np.ndarray:
    """The naive way: the whole archive sorted by key, and by id."""
    by_key = ids[np.lexsort((ids, keys))]
    exemplars = [i for i in by_key.tolist() if i in exemplar_ids][: int(size * exemplar_share)]
    newest = sorted(ids.tolist())[len(ids) - int(size * newest_share) :]
    kept = {*exemplars, *newest}
    rest = [i for i in by_key.tolist() if i not in kept]
    return np.array(sorted([*kept, *rest[: size - len(kept)]]), dtype=np.int64)


@given(
    size=st.integers(1, 40),
    count=st.integers(41, 90),
    widest=st.sampled_from([1, 5, 60, 2**64 - 1]),
    shares=st.sampled_from([(0.25, 0.25), (0, 0), (1, 0), (0, 1), (0.5, 0.5), (0.1, 0.7)]),
    seed=st.integers(0, 50),
)
def test_the_window_is_that_of_an_archive_sorted_whole(
    size: int, count: int, widest: int, shares: tuple[float, float], seed: int
):
    """Keys that are equal included."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(500)[:count].astype(np.int64)
    keys = rng.integers(0, widest, size=count, dtype=np.uint64)
    exemplars = rng.integers(0, 520, size=30).tolist()
    expected = sorted_whole(ids, keys, exemplars, size, *shares)
    assert np.array_equal(choose_window(ids, keys, exemplars, size, *shares), expected)
    order = np.argsort(ids)
    assert np.array_equal(choose_window(ids[order], keys[order], exemplars, size, *shares), expected)


@pytest.mark.parametrize(("keys", "size", "share"), [(KEYS[:3], 10, 0.2), (KEYS, 0, 0.2), (KEYS, 10, 0.9)])
def test_nonsense_is_refused(keys: np.ndarray, size: int, share: float):
    with pytest.raises(ValueError, match="keys|window|shares"):
        choose_window(IDS, keys, [], size, exemplar_share=share)
