"""From core members to everyone: random walks along the graph that end at the first core member they meet.

The share of walks that end in a kind tells how likely a picture belongs to it (label propagation with clamped labels,
Zhu and Ghahramani 2002). It knows nothing about density, pictures, thresholds or what is stated of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.graph import Rows, walk_along
from agent.space import Points

Labels = NDArray[np.int64]

# Steps of the walk; what has not met a core member by then belongs nowhere.
WALK = 30
# What it counts for a picture's kind that it had it in the round before.
INERTIA = 0.15


def propagate(neighbour_NK: Rows, core_N: Labels, kinds: int) -> Points:
    """Shares (N, kinds) of the walks that end in each kind; rows sum to that of walks that met any core member.

    Args:
        neighbour_NK: rows of neighbours.
        core_N: kind of each core member, -1 for everyone else.
        kinds: number of kinds.
    """
    count, k = neighbour_NK.shape
    anchored_N = core_N >= 0
    share_NK = np.zeros((count, kinds), dtype=np.float32)
    share_NK[np.flatnonzero(anchored_N), core_N[anchored_N]] = 1
    if k == 0 or kinds == 0:
        return share_NK
    free_F = np.flatnonzero(~anchored_N)
    steps = walk_along(neighbour_NK)[free_F]
    ends_FK, onwards = steps @ share_NK, steps[:, free_F]
    free_FK = np.zeros_like(ends_FK)
    for _ in range(WALK):
        free_FK = ends_FK + onwards @ free_FK
    share_NK[free_F] = free_FK
    return share_NK


def at_home(share_NK: Points, label_N: Labels, sure_N: Points, before_N: Labels) -> tuple[Labels, Points]:
    """The likeliest kinds and their shares once those are raised by INERTIA for where most of the kind is now that a
    point had before.

    Borders are where a little noise decides: so a picture changes sides, or leaves, only for more than that.

    Args:
        label_N: likeliest kind of each point and `sure_N` its share, by `winners`.
        before_N: kind of each point in the round before, numbered from 0; -1 for none.
    """
    both_N = (before_N >= 0) & (label_N >= 0)
    if not both_N.any():
        return label_N, sure_N
    befores, kinds = int(before_N.max()) + 1, share_NK.shape[1]
    both_M = before_N[both_N] * kinds + label_N[both_N]
    shared_BK = np.bincount(both_M, minlength=befores * kinds).reshape(befores, kinds)
    home_N, left_B = shared_BK.argmax(axis=1)[before_N], shared_BK.sum(axis=1) > 0
    has_home_N = (before_N >= 0) & left_B[before_N]
    raised_N = np.minimum(1, share_NK[np.arange(len(share_NK)), home_N] + np.float32(INERTIA))
    stays_N = has_home_N & ((raised_N > sure_N) | ((raised_N == sure_N) & (home_N < label_N)))
    return np.where(stays_N, home_N, label_N), np.where(stays_N, raised_N, sure_N)


def winners(share_NK: Points) -> tuple[Labels, Points]:
    """The likeliest kind of each row and its share; -1 and 0 where no walk met anybody."""
    if share_NK.shape[1] == 0:
        return np.full(len(share_NK), -1, dtype=np.int64), np.zeros(len(share_NK), dtype=np.float32)
    label_N = share_NK.argmax(axis=1)
    probability_N = np.minimum(1, share_NK[np.arange(len(share_NK)), label_N])
    return np.where(probability_N > 0, label_N, -1).astype(np.int64), probability_N.astype(np.float32)
