"""Which kind of the last round lives on in which label of this one: contingency of members, then Hungarian.

Matched by members, never by vectors, so that identity survives a change of encoder (MONIC, Spiliopoulou et al. 2006).
It knows nothing about states, events or records: ids and labels in, a match out.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Ids = NDArray[np.int64]
Weights = NDArray[np.float64]

# What a member counts: more when it was core, and more when it is.
PROPAGATED, CORE = 0.5, 0.25
# A kind lives on in a label that holds so much of what is still assigned of it.
MAJORITY = 0.5
# A label is a child of a kind when it takes so much of the kind, or consists of it by half.
CHILD = 0.25
# A named kind with less than this of what it and nameless ones have in a label is a guest there.
GUEST = 0.2
# With less than this still assigned of a kind, its density was not found.
FOUND = 0.25


@dataclass(frozen=True, slots=True)
class Contingency:
    """Weights of the members that kinds (rows) and labels (columns) share.

    Attributes:
        ids: cluster ids, ascending; one row each.
        shared_OL: weight of the pictures that were in the kind and are in the label.
        total_O: weight of the kind's members in the window, now unassigned ones included.
        label_L: weight of the label's members, new pictures included.
    """

    ids: tuple[int, ...]
    shared_OL: Weights
    total_O: Weights
    label_L: Weights

    @property
    def held_O(self) -> Weights:
        """Weight of the kind's members that are still assigned to any label."""
        return np.asarray(self.shared_OL.sum(axis=1))

    @property
    def found_O(self) -> NDArray[np.bool_]:
        """Kinds of which enough members are still assigned anywhere."""
        return (self.held_O > 0) & (self.held_O >= FOUND * self.total_O)

    def jaccard_OL(self) -> Weights:
        """Weighted Jaccard index over pictures that were assigned before: new ones make no kind less like itself."""
        known_L = self.shared_OL.sum(axis=0)
        union_OL = self.held_O[:, None] + known_L[None, :] - self.shared_OL
        return np.asarray(self.shared_OL / np.maximum(union_OL, 1e-12))


@dataclass(frozen=True, slots=True)
class Match:
    """Who lives on where.

    Attributes:
        heirs: label -> the kinds that live on in it; more than one only where all of them are named.
        absorbed: kind -> label that took the majority of it, while an older or named kind lives on there.
        dissolved: kinds whose members went several ways, none with a majority.
        missing: kinds whose density was not found.
        children: kind -> labels that split off from it.
        guests: label -> named kinds that are a small part of it: they keep what they have, and take nothing over.
    """

    heirs: dict[int, tuple[int, ...]]
    absorbed: dict[int, int]
    dissolved: tuple[int, ...]
    missing: tuple[int, ...]
    children: dict[int, tuple[int, ...]]
    guests: dict[int, tuple[int, ...]]


def count_members(
    old_N: Ids,
    label_N: Ids,
    was_core_N: NDArray[np.bool_],
    is_core_N: NDArray[np.bool_],
    ids: Collection[int],
    labels: int,
) -> Contingency:
    """Contingency over the pictures of the window, (N,) arrays; -1 means unassigned or new."""
    ordered = tuple(sorted(ids))
    weight_N = PROPAGATED + CORE * was_core_N + CORE * is_core_N
    shared_OL = np.zeros((len(ordered), labels))
    total_O = np.zeros(len(ordered))
    label_L = np.zeros(labels)
    row_of = {cluster: row for row, cluster in enumerate(ordered)}
    row_N = np.array([row_of.get(cluster, -1) for cluster in old_N.tolist()], dtype=np.int64)
    np.add.at(total_O, row_N[row_N >= 0], weight_N[row_N >= 0])
    np.add.at(label_L, label_N[label_N >= 0], weight_N[label_N >= 0])
    both_N = (row_N >= 0) & (label_N >= 0)
    np.add.at(shared_OL, (row_N[both_N], label_N[both_N]), weight_N[both_N])
    return Contingency(ordered, shared_OL, total_O, label_L)


def match(table: Contingency, named: Set[int]) -> Match:
    """Match kinds to labels.

    A kind may live on in a label that holds the majority of it; a named one lives on wherever most of it is. Among
    kinds that want the same label, Hungarian on Jaccard with inertia decides: named before unnamed, older before
    younger. Named kinds that want the same label all get it: the agent never merges two of them. A named kind whose
    label is mostly that of nameless ones is its guest: a name does not go to other pictures by itself.
    """
    found_O = table.found_O
    guests = guests_of(table, named)
    staying = {cluster for clusters in guests.values() for cluster in clusters}
    wanted_OL = wishes(table, named) & ~np.isin(table.ids, list(staying))[:, None]
    heirs: dict[int, tuple[int, ...]] = {label: (table.ids[row],) for row, label in hungarian(table, wanted_OL, named)}
    for row in np.flatnonzero(found_O):
        cluster, label = table.ids[row], int(table.shared_OL[row].argmax())
        if cluster in named - staying and cluster not in heirs.get(label, ()):
            heirs[label] = (*heirs.get(label, ()), cluster)
    placed = staying.union(*heirs.values())
    absorbed: dict[int, int] = {}
    dissolved: list[int] = []
    for row in np.flatnonzero(found_O):
        cluster = table.ids[row]
        if cluster in placed:
            continue
        label = int(table.shared_OL[row].argmax())
        if label in heirs and wanted_OL[row, label]:
            absorbed[cluster] = label
        else:
            dissolved.append(cluster)
    missing = tuple(table.ids[row] for row in np.flatnonzero(~found_O & (table.total_O > 0)))
    return Match(heirs, absorbed, tuple(dissolved), missing, children_of(table, heirs, guests), guests)


def guests_of(table: Contingency, named: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Label -> named kinds that have most of themselves there, but little of it beside what nameless kinds have."""
    guests: dict[int, tuple[int, ...]] = {}
    named_O = np.isin(table.ids, list(named))
    nameless_L = table.shared_OL[~named_O].sum(axis=0)
    for row in np.flatnonzero(named_O & table.found_O):
        label = int(table.shared_OL[row].argmax())
        own = table.shared_OL[row, label]
        if own < GUEST * (own + nameless_L[label]):
            guests[label] = (*guests.get(label, ()), table.ids[row])
    return guests


def wishes(table: Contingency, named: Collection[int]) -> NDArray[np.bool_]:
    """Labels in which each kind may live on, (O, L)."""
    held_O = np.maximum(table.held_O, 1e-12)
    wanted_OL = (table.shared_OL >= MAJORITY * held_O[:, None]) & table.found_O[:, None]
    for row, cluster in enumerate(table.ids):
        if cluster in named and table.found_O[row]:
            wanted_OL[row] = False
            wanted_OL[row, table.shared_OL[row].argmax()] = True
    return wanted_OL


def hungarian(table: Contingency, wanted_OL: NDArray[np.bool_], named: Collection[int]) -> list[tuple[int, int]]:
    """One kind for each label and one label for each kind; rows and labels of the pairs."""
    if wanted_OL.size == 0:
        return []
    count = len(table.ids)
    # Jaccard is below 1, so each step of inertia outweighs it; the rank by id is the age.
    age_O = np.array([1.0 + (count - row) for row in range(count)])
    name_O = np.array([2.0 * count + 2 if cluster in named else 0.0 for cluster in table.ids])
    gain_OL = np.where(wanted_OL, table.jaccard_OL() + (age_O + name_O)[:, None], 0.0)
    rows, labels = linear_sum_assignment(-gain_OL)
    return [(int(row), int(label)) for row, label in zip(rows, labels, strict=True) if wanted_OL[row, label]]


def children_of(
    table: Contingency, heirs: dict[int, tuple[int, ...]], guests: dict[int, tuple[int, ...]]
) -> dict[int, tuple[int, ...]]:
    """Labels without an heir that took a quarter of a kind, or consist of it by half; a guest's own is none of its."""
    children: dict[int, tuple[int, ...]] = {}
    for row in np.flatnonzero(table.found_O):
        share_L = table.shared_OL[row]
        taken_L = (share_L >= CHILD * table.held_O[row]) | (share_L >= MAJORITY * np.maximum(table.label_L, 1e-12))
        taken = np.flatnonzero(taken_L & (share_L > 0)).tolist()
        cluster = table.ids[row]
        split = tuple(label for label in taken if label not in heirs and cluster not in guests.get(label, ()))
        if split:
            children[cluster] = split
    return children
