"""Where pictures belong once people's corrections are folded over the agent's labels, in order. Pure, no SQL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from storage.facts import Fact
from storage.records import Assignments


def overrule(machine: Assignments, facts: Sequence[Fact]) -> tuple[Assignments, NDArray[np.bool_]]:
    """Assignments as people want them, (N,), and for which pictures a fact decides, (N,).

    A picture that was placed by hand is no core member and belongs with certainty; one whose kind was merged keeps
    both as the agent gave them.
    """
    cluster_N = machine.cluster_N.copy()
    by_hand_N, decided_N = np.zeros((2, len(cluster_N)), dtype=np.bool_)
    for fact in facts:
        placed_N = np.isin(machine.picture_N, np.array(fact.pictures, dtype=np.int64))
        here_N = placed_N | np.isin(cluster_N, np.array(fact.kinds, dtype=np.int64))
        cluster_N[here_N] = fact.cluster_id
        by_hand_N |= placed_N
        decided_N |= here_N
    probability_N = np.where(by_hand_N, np.float32(1), machine.probability_N)
    return Assignments(machine.picture_N, cluster_N, probability_N, machine.core_N & ~by_hand_N), decided_N


def rows_of(assignments: Assignments, which: NDArray[np.bool_] | NDArray[np.int64]) -> Assignments:
    """Some of the pictures, by mask or position."""
    return Assignments(
        assignments.picture_N[which],
        assignments.cluster_N[which],
        assignments.probability_N[which],
        assignments.core_N[which],
    )
