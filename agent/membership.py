"""Who was where, as arrays in the order of a window; small questions about it that identity asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agent.partition import NONE
from storage.records import Assignments, ClusterRecord

# Who is stated to belong to a kind with less is more likely elsewhere, and no sign of its life.
SURE = 0.5


def aligned(before: Assignments, ids_N: NDArray[np.int64], living: Mapping[int, ClusterRecord]) -> Assignments:
    """Last round's assignments in the order of `ids_N`; -1 for new pictures and for kinds that have ended since."""
    order_M = np.argsort(before.picture_N, kind="stable")
    at_N = np.searchsorted(before.picture_N[order_M], ids_N)
    known_N = at_N < len(order_M)
    row_N = np.zeros(len(ids_N), dtype=np.int64)
    row_N[known_N] = order_M[at_N[known_N]]
    known_N[known_N] = before.picture_N[row_N[known_N]] == ids_N[known_N]
    cluster_N = np.full(len(ids_N), NONE, dtype=np.int64)
    probability_N = np.zeros(len(ids_N), dtype=np.float32)
    core_N = np.zeros(len(ids_N), dtype=np.bool_)
    cluster_N[known_N] = before.cluster_N[row_N[known_N]]
    probability_N[known_N] = before.probability_N[row_N[known_N]]
    core_N[known_N] = before.core_N[row_N[known_N]]
    alive_N = np.isin(cluster_N, np.fromiter(living, dtype=np.int64))
    return Assignments(ids_N, np.where(alive_N, cluster_N, NONE), probability_N, core_N & alive_N)


def with_leaders(old: Assignments, leaders: Mapping[int, int]) -> tuple[Assignments, NDArray[np.bool_]]:
    """The same, with pictures that lead a kind of people in it, and which those are, (N,)."""
    led_N = np.isin(old.picture_N, np.fromiter(leaders, dtype=np.int64))
    cluster_N = old.cluster_N.copy()
    cluster_N[led_N] = [leaders[picture] for picture in old.picture_N[led_N].tolist()]
    return replace(old, cluster_N=cluster_N), led_N


def majority(kinds_K: NDArray[np.int64], among: tuple[int, ...]) -> int:
    """The most frequent of the kinds, the older one when even; -1 where there is none of them."""
    counts = {cluster: int((kinds_K == cluster).sum()) for cluster in among}
    best = max(among, key=lambda cluster: (counts[cluster], -cluster), default=NONE)
    return best if counts.get(best) else NONE


def newest_members(assignments: Assignments) -> dict[int, int]:
    """Cluster id -> largest picture id among its members that are not more likely elsewhere."""
    sure_N = assignments.probability_N >= SURE
    picture_M, cluster_M = assignments.picture_N[sure_N], assignments.cluster_N[sure_N]
    order_M = np.lexsort((picture_M, cluster_M))
    return dict(zip(cluster_M[order_M].tolist(), picture_M[order_M].tolist(), strict=True))
