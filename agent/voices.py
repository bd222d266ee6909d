"""Whose nearest neighbours say that it belongs to a kind that people made.

It knows nothing about how neighbours were found, and imports nothing heavy: rounds and readers ask alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.space import Points

Rows = NDArray[np.int64]

# Neighbours that are asked, and how close one can be.
NEAREST = 8
CLOSEST = 1e-4
# What a neighbour counts that people themselves put where it is.
WORD = 2.0


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks for which kind of people, among the nearest neighbours of a point.

    Votes count by the inverse square of the distance (Shepard 1968).

    Attributes:
        of_N: the kind of people that an observation belongs to, by number, label or id; -1 for none.
        voice_N: what its vote counts, float32; 0 for those that are not heard.
    """

    of_N: Rows
    voice_N: Points

    def of_kinds(self, kind_of: Callable[[int], int]) -> Voices:
        """The same, of what the kinds are called elsewhere; -1 stays."""
        called = {kind: kind_of(kind) for kind in np.unique(self.of_N[self.of_N >= 0]).tolist()}
        return Voices(np.array([called.get(kind, -1) for kind in self.of_N.tolist()], dtype=np.int64), self.voice_N)

    def votes(self, row_MK: Rows, cosine_MK: Points) -> Points:
        """What the votes of the first NEAREST count, for whatever kind, (M, up to NEAREST); arguments as `chosen`."""
        near_MK = row_MK[:, :NEAREST]
        nearness_MK = 1 / np.maximum(2 - 2 * cosine_MK[:, :NEAREST], CLOSEST**2)
        return np.asarray(self.voice_N[near_MK] * nearness_MK, dtype=np.float32)

    def chosen(self, row_MK: Rows, cosine_MK: Points) -> Rows:
        """The kind of people that has more votes than all others together, (M,); -1 for none.

        Args:
            row_MK: nearest observations of M points, nearest first.
            cosine_MK: to them.
        """
        near_MK, vote_MK = row_MK[:, :NEAREST], self.votes(row_MK, cosine_MK)
        chosen_M = np.full(len(vote_MK), -1, dtype=np.int64)
        for kind in np.unique(self.of_N[self.of_N >= 0]):
            for_it_M = (vote_MK * (self.of_N == kind)[near_MK]).sum(axis=1)
            chosen_M[for_it_M > vote_MK.sum(axis=1) / 2] = kind
        return chosen_M
