"""Laying one map upon another: the rotation, mirroring and shift by which common points fit best.

Orthogonal Procrustes (Schönemann 1966), on request with one scale for both axes. It knows nothing of what points are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.space import Points


@dataclass(frozen=True, slots=True)
class Alignment:
    """`turn_22` is a rotation, mirrored or not, times the scale."""

    turn_22: Points
    from_2: Points
    to_2: Points

    def moved(self, place_N2: Points) -> Points:
        """Points (N, 2) of the one map as points of the other."""
        return np.asarray((place_N2 - self.from_2) @ self.turn_22 + self.to_2, dtype=np.float32)


def alignment(moving_M2: Points, fixed_M2: Points, *, scale: bool = False) -> Alignment:
    """How to lay the moving points upon the fixed ones; without any, nothing is moved.

    Args:
        scale: stretch or shrink them too, by one factor.
    """
    if len(moving_M2) == 0:
        return Alignment(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    from_2, to_2 = moving_M2.mean(axis=0), fixed_M2.mean(axis=0)
    moving_M2, fixed_M2 = moving_M2 - from_2, fixed_M2 - to_2
    left_22, size_2, right_22 = np.linalg.svd(moving_M2.T.astype(np.float64) @ fixed_M2)
    spread = float((moving_M2**2).sum())
    factor = size_2.sum() / spread if scale and spread > 0 and size_2.sum() > 0 else 1.0
    return Alignment(factor * (left_22 @ right_22), from_2, to_2)
