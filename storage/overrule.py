"""Where pictures belong once people's corrections are folded over the agent's labels, in order. Pure, no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.records import Assignments


@dataclass(frozen=True, slots=True)
class Fact:
    """A correction that counts: these pictures, or all that is in these kinds, belong to one kind.

    Attributes:
        event_id: of the event by which it was made.
        cluster_id: where they belong.
        made: the kind was made by it.
    """

    event_id: int
    cluster_id: int
    pictures: tuple[int, ...] = ()
    kinds: tuple[int, ...] = ()
    made: bool = False


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


def leading(facts: Sequence[Fact]) -> dict[int, int]:
    """Pictures that people put into kinds which they made, and those kinds."""
    made = {fact.cluster_id for fact in facts if fact.made}
    put = {picture: fact.cluster_id for fact in facts for picture in fact.pictures}
    return {picture: kind for picture, kind in put.items() if kind in made}


def followed(kind: int, facts: Sequence[Fact]) -> int:
    """The kind in which people see what the agent puts into `kind`, unless they placed the picture itself."""
    for fact in facts:
        if kind in fact.kinds:
            kind = fact.cluster_id
    return kind


def deciding(picture: int, kind: int, facts: Sequence[Fact]) -> Fact | None:
    """The fact by which a picture that the agent puts into `kind` is where people see it; None where none decides."""
    last = None
    for fact in facts:
        if picture in fact.pictures or kind in fact.kinds:
            kind, last = fact.cluster_id, fact
    return last


def rows_of(assignments: Assignments, which: NDArray[np.bool_] | NDArray[np.int64]) -> Assignments:
    """Some of the pictures, by mask or position."""
    return Assignments(
        assignments.picture_N[which],
        assignments.cluster_N[which],
        assignments.probability_N[which],
        assignments.core_N[which],
    )
