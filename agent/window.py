"""Which pictures are clustered: the window, a bounded sample that keeps the kinds' memory, the newest and a reservoir.

It knows nothing about embeddings or kinds; pictures are ids with a key that is a hash of their content, so that the
same archive always gives the same window, whatever the order of questions.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

EXEMPLAR_SHARE = 0.25
NEWEST_SHARE = 0.25


def choose_window(
    ids_N: NDArray[np.int64],
    key_N: NDArray[np.uint64],
    exemplar_ids: Iterable[int],
    size: int,
    exemplar_share: float = EXEMPLAR_SHARE,
    newest_share: float = NEWEST_SHARE,
) -> NDArray[np.int64]:
    """Choose at most `size` pictures; all of them when they fit.

    Exemplars take up to their share (the smallest keys of them when they are too many), the newest ids theirs, and a
    uniform reservoir of the rest fills up: the smallest keys, so that a picture leaves the reservoir only when a
    smaller key comes (bottom-k sampling, Cohen and Kaplan 2007).

    Args:
        ids_N: picture ids, monotone in arrival; in any order.
        key_N: hash of each picture's content, uniform over uint64.
        exemplar_ids: pictures that represent kinds; ids that are not in `ids_N` are ignored.
        size: most pictures to choose, at least 1.

    Returns:
        Ids in ascending order, int64.

    Raises:
        ValueError: if the arrays differ in length, `size` is not positive or the shares exceed the whole.
    """
    if len(ids_N) != len(key_N):
        raise ValueError(f"{len(ids_N)} ids but {len(key_N)} keys; give one key per picture")
    if size < 1:
        raise ValueError(f"the window holds at least one picture, not {size}; raise cluster.window")
    if min(exemplar_share, newest_share) < 0 or exemplar_share + newest_share > 1:
        raise ValueError("the shares of exemplars and newest must not be negative nor exceed 1 together")
    if len(ids_N) <= size:
        return np.sort(ids_N)
    ids_N, key_N = ascending(ids_N, key_N)
    exemplars = by_key(rows_of(exemplar_ids, ids_N), key_N)[: int(size * exemplar_share)]
    newest = np.arange(len(ids_N) - int(size * newest_share), len(ids_N))
    kept = np.union1d(exemplars, newest)
    # nobody else can have one of the smallest keys: so the archive is looked through, and only the window is sorted
    smallest = by_key(np.flatnonzero(key_N <= np.partition(key_N, size - 1)[size - 1]), key_N)
    reservoir = smallest[~np.isin(smallest, kept)][: size - len(kept)]
    return np.asarray(ids_N[np.sort(np.concatenate([kept, reservoir]))])


def ascending(ids_N: NDArray[np.int64], key_N: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """By id; the same arrays where they are so already, as those of an archive are."""
    if (ids_N[1:] > ids_N[:-1]).all():
        return ids_N, key_N
    order_N = np.argsort(ids_N, kind="stable")
    return ids_N[order_N], key_N[order_N]


def rows_of(ids: Iterable[int], ids_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where these ids are among N ascending ones, each once; those that are not there are left out."""
    ids_M = np.unique(np.fromiter(ids, dtype=np.int64))
    row_M = np.minimum(np.searchsorted(ids_N, ids_M), len(ids_N) - 1)
    return np.asarray(row_M[ids_N[row_M] == ids_M], dtype=np.int64)


def by_key(row_M: NDArray[np.int64], key_N: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Rows with the smallest keys first; the earlier of two where keys are equal."""
    return row_M[np.lexsort((row_M, key_N[row_M]))]
