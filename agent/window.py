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
    by_key_N = ids_N[np.lexsort((ids_N, key_N))]
    exemplar_N = np.isin(by_key_N, np.fromiter(exemplar_ids, dtype=np.int64))
    exemplars = by_key_N[exemplar_N][: int(size * exemplar_share)]
    newest = np.sort(ids_N)[len(ids_N) - int(size * newest_share) :]
    kept = np.union1d(exemplars, newest)
    reservoir = by_key_N[~np.isin(by_key_N, kept)][: size - len(kept)]
    return np.union1d(kept, reservoir)
