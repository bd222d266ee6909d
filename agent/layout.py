"""Where the map shows what: close together what is alike, and where it was before as far as that goes.

A map begins where the last one ended, takes a few short steps, and is laid upon the last one; what is new begins in the
middle of its neighbours. So it stays put from round to round, and from encoder version to version. Only observations
are laid out: near copies lie beside the one that stands for them, and what is outside the window among its neighbours.
It knows nothing about kinds or storage. Places are in units of `agent.umap`; NaN where there is none yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.alignment import alignment
from agent.graph import Graph, Rows, nearest
from agent.space import Points, principal_axes
from agent.umap import Umap

# Neighbours that a point is held by.
K = 14
# Half the side of the square in which a first map begins, and the noise by which copies come apart there.
FIRST_HALF, NOISE = 10.0, 1e-3
# Times that places are handed on from neighbour to neighbour before what is still without one begins by its axes.
PASSES = 10
# How far from the one that stands for them near copies lie, at most.
FAN = 0.05
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


class Pace(NamedTuple):
    """Epochs, and the length of the first steps."""

    epochs: int
    rate: float


COLD, WARM = Pace(200, 0.5), Pace(60, 0.1)
# Share of places that must be known for the map to be warm.
WARM_SHARE = 0.5


class Layout:
    """A map of observations in the making.

    Args:
        points_NP: of unit length.
        graph: of their nearest neighbours, at least `K` of them where there are so many.
        known_N2: their places on the last map.
        rng: decides all that is drawn.
    """

    def __init__(self, points_NP: Points, graph: Graph, known_N2: Points, rng: np.random.Generator) -> None:
        self._known_N2 = known_N2
        known = int(is_known(known_N2).sum())
        pace = WARM if known and known >= WARM_SHARE * len(known_N2) else COLD
        graph = graph.first(K)
        self._umap = Umap(graph, beginning(points_NP, graph, known_N2, rng), pace.epochs, pace.rate, rng)

    def step(self) -> bool:
        """A piece of the work; False when it is done."""
        return self._umap.step()

    def places(self) -> Points:
        """(N, 2) as of now, laid upon the last map; the first one lies around 0."""
        place_N2, known_N = self._umap.place_N2, is_known(self._known_N2)
        if not known_N.any():
            return np.asarray(place_N2 - place_N2.mean(axis=0), dtype=np.float32) if len(place_N2) else place_N2
        return alignment(place_N2[known_N], self._known_N2[known_N]).moved(place_N2)


def beginning(points_NP: Points, graph: Graph, known_N2: Points, rng: np.random.Generator) -> Points:
    """Known places; else the mean of neighbours that have one; else by the principal axes, as known places lie."""
    known_N = is_known(known_N2)
    along_N2 = along_axes(points_NP)
    along_N2 = alignment(along_N2[known_N], known_N2[known_N], scale=True).moved(along_N2)
    place_N2 = known_N2.copy()
    for _ in range(PASSES):
        waits_M = np.flatnonzero(~is_known(place_N2))
        settled_MK = is_known(place_N2)[graph.neighbour_NK[waits_M]]
        reached_M = settled_MK.any(axis=1)
        if not reached_M.any():
            break
        near_LK2 = place_N2[graph.neighbour_NK[waits_M[reached_M]]]
        place_N2[waits_M[reached_M]] = np.nanmean(near_LK2, axis=1)
    place_N2 = np.where(is_known(place_N2)[:, None], place_N2, along_N2)
    noise_N2 = rng.normal(0, NOISE, place_N2.shape)
    return np.asarray(np.where(known_N[:, None], place_N2, place_N2 + noise_N2), dtype=np.float32)


def along_axes(points_NP: Points) -> Points:
    """(N, 2) by the two principal axes, from -FIRST_HALF to FIRST_HALF."""
    if len(points_NP) == 0:
        return np.empty((0, 2), dtype=np.float32)
    centred_NP = points_NP - points_NP.mean(axis=0)
    along_NA = centred_NP @ principal_axes(centred_NP, 2)
    along_N2 = np.zeros((len(points_NP), 2), dtype=np.float32)
    along_N2[:, : along_NA.shape[1]] = along_NA
    return np.asarray(FIRST_HALF * along_N2 / max(float(np.abs(along_N2).max()), 1e-6), dtype=np.float32)


def fanned(place_R2: Points, burst_N: Rows, leads_N: NDArray[np.bool_], ids_N: Rows) -> Points:
    """Places (N, 2) of pictures by those of the observations, near copies around the one that stands for them.

    Args:
        burst_N: number of the observation that stands for each picture.
        leads_N: whether it stands for itself.
        ids_N: decide where in the fan it lies, so that it stays there.
    """
    radius_N = np.where(leads_N, 0, FAN * np.sqrt((ids_N * 0.618034) % 1))
    angle_N = ids_N * GOLDEN_ANGLE
    around_N2 = radius_N[:, None] * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    return np.asarray(place_R2[burst_N] + around_N2, dtype=np.float32)


def among_neighbours(place_R2: Points, points_RP: Points, points_MP: Points) -> Points:
    """Places (M, 2) of what was not laid out: the mean of those of its neighbours that were."""
    if len(points_MP) == 0:
        return np.empty((0, 2), dtype=np.float32)
    row_MK, _ = nearest(points_RP, points_MP, K)
    return np.asarray(place_R2[row_MK].mean(axis=1), dtype=np.float32)


def is_known(place_N2: Points) -> NDArray[np.bool_]:
    """Which rows are places, (N,)."""
    return np.asarray(~np.isnan(place_N2[:, 0]))
