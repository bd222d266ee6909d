"""What kinds are looked for in: the observations of a window, or some of them, with what is known of each beforehand.

It knows nothing about how kinds are found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.graph import Rows
from agent.propagation import Labels
from agent.score import agreement
from agent.space import Points


@dataclass(frozen=True, slots=True)
class Observations:
    """N observations; each stands for a picture and its near copies.

    Attributes:
        points_ND: of unit length.
        weight_N: what each counts towards the smallest size of a kind.
        min_samples: of hdbscan.
        min_size: no kind is smaller.
        before_N: kind of each in the round before, numbered from 0, which gets the benefit of the doubt; -1 for none.
        track_N: track of each, by `agent.tracks`; None where each is alone.
    """

    points_ND: Points
    weight_N: Rows
    min_samples: int
    min_size: int
    before_N: Labels | None = None
    track_N: Rows | None = None

    def continuity(self, label_N: Labels) -> float:
        """Agreement with the round before, of what had a kind there; 1 where nothing had one."""
        if self.before_N is None or not (known_N := self.before_N >= 0).any():
            return 1.0
        return agreement(label_N[known_N], self.before_N[known_N])

    def rows(self, row_M: Rows) -> Observations:
        """Some of them."""
        before_M = None if self.before_N is None else self.before_N[row_M]
        track_M = None if self.track_N is None else self.track_N[row_M]
        points_MD, weight_M = self.points_ND[row_M], self.weight_N[row_M]
        return replace(self, points_ND=points_MD, weight_N=weight_M, before_N=before_M, track_N=track_M)
