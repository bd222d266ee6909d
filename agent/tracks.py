"""Tracks: what came one shortly after another and is far more alike than anything that came at another time.

Frames of one visit need not be near copies of each other (`agent.bursts`), and are each other's nearest neighbours all
the same; walks that stay among them make a kind of the visit. What is near only because it came at the same time says
nothing about density, so walks go to one picture of each track (Theiler 1986, Phys. Rev. A 34, 2427, on neighbours in
time). How alike is far more alike, the neighbours from other times say, so that it holds in any domain. It knows
nothing about kinds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from agent.graph import Graph, Rows

# Neighbours among which those of other tracks are looked for.
TRACK_NEIGHBOURS = 24
# Arrivals that may lie between two pictures of a track, since other sources arrive in between.
SHORTLY = 4
# Arrivals after which it is another time; a track is no longer than that, so that a long film is several.
ANOTHER_TIME = 16
# Neighbours from other times that say what is alike.
ELSEWHERE = 3


def tracks(graph: Graph, came_N: NDArray[np.int64], share: float) -> Rows:
    """The number of the track of each point, (N,); most are alone in theirs.

    Args:
        graph: of the points before they moved, TRACK_NEIGHBOURS neighbours or N - 1.
        came_N: when each came, ascending numbers of arrival.
        share: two are of one track if they are nearer (1 - cosine) than this share of the way to other times, from
            either; 0 for none.
    """
    count, wide = graph.neighbour_NK.shape
    if wide == 0 or share == 0:
        return np.arange(count, dtype=np.int64)
    one_E, at_E = np.nonzero(np.abs(came_N[graph.neighbour_NK] - came_N[:, None]) <= SHORTLY)
    other_E = graph.neighbour_NK[one_E, at_E]
    reach_N = np.zeros(count, dtype=np.float32)
    asked_M = np.unique(np.concatenate([one_E, other_E]))
    reach_N[asked_M] = share * other_times(graph, came_N, asked_M)
    same_E = graph.distance_NK[one_E, at_E] ** 2 < np.minimum(reach_N[one_E], reach_N[other_E])
    ends = one_E[same_E], other_E[same_E]
    link_NN = coo_array((np.ones(len(ends[0])), ends), shape=(count, count))
    number, chain_N = connected_components(link_NN, directed=False)
    began_C = np.full(number, np.iinfo(np.int64).max)
    np.minimum.at(began_C, chain_N, came_N)
    piece_N = (came_N - began_C[chain_N]) // ANOTHER_TIME
    _, track_N = np.unique(chain_N * (1 + piece_N.max()) + piece_N, return_inverse=True)
    return np.asarray(track_N, dtype=np.int64)


def other_times(graph: Graph, came_N: NDArray[np.int64], row_M: Rows) -> NDArray[np.float32]:
    """Squared distance of the ELSEWHEREth neighbour from another time, (M,); of the last where there are fewer."""
    other_MK = np.abs(came_N[graph.neighbour_NK[row_M]] - came_N[row_M, None]) > ANOTHER_TIME
    at_MK = other_MK & (np.cumsum(other_MK, axis=1) == ELSEWHERE)
    at_M = np.where(at_MK.any(axis=1), at_MK.argmax(axis=1), other_MK.shape[1] - 1)
    return np.asarray(graph.distance_NK[row_M, at_M] ** 2, dtype=np.float32)


def one_of_each(neighbour_NW: Rows, track_N: Rows, k: int) -> Rows:
    """The k nearest neighbours (N, k) that are each of another track than all nearer ones, and than the point itself.

    Where there are fewer such, the nearest of the others make up for it.
    """
    crowded_N = (np.bincount(track_N, minlength=1) > 1)[track_N]
    if not crowded_N.any():
        return neighbour_NW[:, :k]
    some_M = np.flatnonzero(crowded_N[neighbour_NW].any(axis=1))
    track_MW = track_N[neighbour_NW[some_M]]
    again_MW = track_MW == track_N[some_M, None]
    for at in range(1, track_MW.shape[1]):
        again_MW[:, at] |= (track_MW[:, :at] == track_MW[:, at, None]).any(axis=1)
    chosen_NK = neighbour_NW[:, :k].copy()
    first_MK = np.argsort(again_MW, axis=1, kind="stable")[:, :k]
    chosen_NK[some_M] = np.take_along_axis(neighbour_NW[some_M], first_MK, axis=1)
    return chosen_NK
