"""Kinds that people made: what they put into one leads, and what is like it follows.

Three pictures that a person calls a kind have no density, so HDBSCAN cannot find it. It takes its place among the kinds
that were found by what its pictures lead: walks end at them as at core members, and a density that consists mostly of
the kind is the kind (seeded propagation: Zhu and Ghahramani 2002). What has belonged nowhere yet, a new picture above
all, goes where most of its nearest neighbours are, among whom a person's word counts twice. What people left in another
kind stays there. It knows nothing about storage or corrections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.discovery import Kinds, settled
from agent.graph import Graph
from agent.propagation import Labels, propagate
from agent.voices import WORD, Voices

# More than so much of what is known of a density is most of it.
MOST = 0.5
NONE = -1


@dataclass(frozen=True, slots=True)
class Led:
    """Where people put observations, kinds numbered from 0; -1 for none.

    Attributes:
        kind_N: id of the kind of each in the round before, with what leads where people put it.
        leads_N: number of the kind that people made and put an observation into.
        belongs_N: the same, and what followed in the round before.
        count: kinds that people made; near copies lead one alone, so nothing may be left that leads the others.
    """

    kind_N: Labels
    leads_N: Labels
    belongs_N: Labels
    count: int


def put_by_people(
    leaders: Mapping[int, int], known_R: NDArray[np.int64], ids_N: NDArray[np.int64], burst_N: Labels
) -> Led | None:
    """Which observations people put into kinds of theirs; None where they made none.

    Args:
        known_R: kinds of the observations in the round before, -1 for none.
        ids_N: pictures of the window.
        burst_N: the observation of each.
    """
    at_M = np.flatnonzero(np.isin(ids_N, np.fromiter(leaders, dtype=np.int64)))
    if len(at_M) == 0:
        return None
    made, number_M = np.unique([leaders[picture] for picture in ids_N[at_M].tolist()], return_inverse=True)
    leads_R = np.full(len(known_R), NONE, dtype=np.int64)
    leads_R[burst_N[at_M]] = number_M
    kind_R = np.where(leads_R != NONE, made[leads_R], known_R)
    number_R = np.searchsorted(made, kind_R).clip(max=len(made) - 1)
    return Led(kind_R, leads_R, np.where(made[number_R] == kind_R, number_R, NONE), len(made))


@dataclass(frozen=True, slots=True)
class Together:
    """Kinds that were found and kinds that people made, under common labels.

    Attributes:
        alone: those that were found, as they would be without those of people; -1 where nothing is left of one.
        voices: with labels in place of numbers.
    """

    kinds: Kinds
    alone: Kinds
    voices: Voices


def led(kinds: Kinds, graph: Graph, people: Led, before_N: Labels | None) -> Together:
    """Find the place of the kinds of people among those that were found.

    Args:
        graph: of the points, as they were before any diffusion.
        before_N: kinds of the round before, which get the benefit of the doubt; see `agent.discovery.discover`.
    """
    anchor_N = kinds.core_N.copy()
    own_N = np.append(_own(kinds, people), NONE)[kinds.core_N]  # what is appended is that of -1
    speak = voices(kinds, people)
    near_N = np.where(
        people.kind_N == NONE, speak.chosen(graph.neighbour_NK, (1 - graph.distance_NK**2 / 2).astype(np.float32)), NONE
    )
    for number_N in (own_N, near_N, people.leads_N):
        anchor_N[number_N >= 0] = kinds.count + number_N[number_N >= 0]
    left_K, anchored_N = np.unique(anchor_N[anchor_N >= 0], return_inverse=True)
    anchor_N[anchor_N >= 0] = anchored_N
    share_NK = propagate(graph.neighbour_NK, anchor_N, len(left_K))
    label_N, probability_N, sure_N = settled(share_NK, before_N)
    found_K = left_K[left_K < kinds.count]
    made = len(left_K) - len(found_K)
    together = replace(
        kinds,
        core_N=np.where(kinds.core_N >= 0, anchor_N, -1),
        label_N=label_N,
        probability_N=probability_N,
        sure_N=sure_N,
        share_NK=share_NK,
        persistence_K=np.concatenate([kinds.persistence_K[found_K], np.zeros(made, dtype=np.float32)]),
        parent_K=(*(kinds.parent_K[label] for label in found_K), *[None] * made),
    )
    label_of = np.full(kinds.count + people.count + 1, NONE, dtype=np.int64)  # the last one is that of -1
    label_of[left_K] = np.arange(len(left_K))
    alone = replace(kinds, core_N=label_of[kinds.core_N], label_N=label_of[kinds.label_N])
    of_N = np.where(speak.of_N >= 0, label_of[speak.of_N + kinds.count], NONE)
    return Together(together, alone, replace(speak, of_N=of_N))


def _own(kinds: Kinds, people: Led) -> Labels:
    """For each kind that was found the one of people that has most of its core members, (K,); -1 where none has.

    What another kind is at home in, is not taken from it: people left it there.
    """
    ids, number_N = np.unique(people.kind_N, return_inverse=True)
    both_N = (kinds.core_N >= 0) & (people.kind_N != NONE)
    shared_CK = np.zeros((len(ids), kinds.count))
    np.add.at(shared_CK, (number_N[both_N], kinds.core_N[both_N]), 1)
    total_C = np.bincount(number_N)
    home_CK = shared_CK > MOST * total_C[:, None]
    own_K = np.full(kinds.count, NONE, dtype=np.int64)
    for number in range(people.count):
        its_C = np.isin(np.arange(len(ids)), number_N[people.belongs_N == number])
        has_K = shared_CK[its_C].sum(axis=0)
        own_K[(has_K > MOST * shared_CK.sum(axis=0)) & ~home_CK[~its_C].any(axis=0)] = number
    return own_K


def voices(kinds: Kinds, people: Led) -> Voices:
    """Of what belongs to kinds of people, and of core members of others."""
    heard_N = (kinds.core_N >= 0) | (people.belongs_N >= 0)
    return Voices(people.belongs_N, np.where(people.leads_N >= 0, WORD, heard_N).astype(np.float32))
