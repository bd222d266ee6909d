"""Pictures that belong to no kind and lie close together: perhaps a kind that nobody has named yet.

Two lie close together when each is among the nearest of the other, whatever the scale; a pile is what hangs together by
that. Pictures of kinds in between keep piles apart. It knows nothing about pictures, names or rounds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.graph import Rows

NONE = -1
# Neighbours that count as close.
CLOSE = 8


def piles(neighbour_RK: Rows, free_R: NDArray[np.bool_]) -> Rows:
    """The number of the pile of each observation that is free, -1 for the others; alone is a pile, too.

    Args:
        neighbour_RK: rows of neighbours, nearest first; at most CLOSE of them count.
        free_R: which belong to no kind.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count = len(free_R)
    neighbour_RK = neighbour_RK[:, :CLOSE]
    start_E, end_E = np.repeat(np.arange(count), neighbour_RK.shape[1]), neighbour_RK.ravel()
    both_E = free_R[start_E] & free_R[end_E]
    ones_E = np.ones(int(both_E.sum()), dtype=np.int8)
    close_RR = csr_array((ones_E, (start_E[both_E], end_E[both_E])), shape=(count, count))
    _, pile_R = connected_components(close_RR.multiply(close_RR.T), directed=False)
    return np.where(free_R, pile_R, NONE).astype(np.int64)
