"""Which kinds lie nearest to each kind, by the centres of their cores.

Shapes: R observations, P dimensions, K kinds. It knows nothing about storage, or about what people decided.
"""

from __future__ import annotations

import numpy as np

from agent.propagation import Labels
from agent.space import Points, unit


def near_kinds(points_RP: Points, kind_R: Labels, most: int) -> dict[int, list[tuple[int, float]]]:
    """Kind -> up to `most` others with the cosine of the two centres, nearest first.

    Args:
        points_RP: of unit length.
        kind_R: the kind of core members; negative for all else.
    """
    kinds_K, number_R = np.unique(kind_R, return_inverse=True)
    sum_KP = np.zeros((len(kinds_K), points_RP.shape[1]), dtype=np.float32)
    np.add.at(sum_KP, number_R, points_RP)
    kinds_K, centre_KP = kinds_K[kinds_K >= 0], unit(sum_KP[kinds_K >= 0])
    cosine_KK = centre_KP @ centre_KP.T
    np.fill_diagonal(cosine_KK, -np.inf)
    order_KK = np.argsort(-cosine_KK, axis=1, kind="stable")[:, : min(most, max(0, len(kinds_K) - 1))]
    return {
        int(kind): [(int(kinds_K[other]), round(float(cosine_KK[row, other]), 4)) for other in order_KK[row]]
        for row, kind in enumerate(kinds_K)
    }
