"""From core members to everyone: random walks along the graph that end at the first core member they meet.

The share of walks that end in a kind is the probability of belonging to it (label propagation with clamped labels, Zhu
and Ghahramani 2002). It knows nothing about density, pictures or thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from agent.graph import Rows
from agent.space import Points

Labels = NDArray[np.int64]

# Steps of the walk; what has not met a core member by then belongs nowhere.
WALK = 30


def propagate(neighbour_NK: Rows, core_N: Labels, kinds: int) -> Points:
    """Probabilities (N, kinds) of belonging; rows sum to the share of walks that met any core member.

    Args:
        neighbour_NK: rows of neighbours.
        core_N: kind of each core member, -1 for everyone else.
        kinds: number of kinds.
    """
    count, k = neighbour_NK.shape
    anchored_N = core_N >= 0
    clamped = np.zeros((count, kinds), dtype=np.float32)
    clamped[np.flatnonzero(anchored_N), core_N[anchored_N]] = 1
    if k == 0 or kinds == 0:
        return clamped
    weights = np.full(count * k, 1 / k, dtype=np.float32)
    walk = csr_array((weights, neighbour_NK.ravel(), np.arange(0, count * k + 1, k)), shape=(count, count))
    share_NK = clamped
    for _ in range(WALK):
        share_NK = walk @ share_NK
        share_NK[anchored_N] = clamped[anchored_N]
    return np.asarray(share_NK, dtype=np.float32)


def winners(share_NK: Points) -> tuple[Labels, Points]:
    """The likeliest kind of each row and its probability; -1 and 0 where no walk met anybody."""
    if share_NK.shape[1] == 0:
        return np.full(len(share_NK), -1, dtype=np.int64), np.zeros(len(share_NK), dtype=np.float32)
    label_N = share_NK.argmax(axis=1)
    probability_N = np.minimum(1, share_NK[np.arange(len(share_NK)), label_N])
    return np.where(probability_N > 0, label_N, -1).astype(np.int64), probability_N.astype(np.float32)
