"""One round's kinds, put together for people and for lineage: labels, exemplars, statistics.

It knows nothing about how kinds were found, nor about identity over time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.blocks import over_blocks
from agent.config import ClusterConfig
from agent.discovery import Kinds
from agent.propagation import Labels
from agent.space import Points

NONE = -1


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a round.

    Attributes:
        ids_N: ascending.
        points_ND: of unit length.
        burst_N: for each its row among the observations.
        neighbour_NK: rows of the nearest pictures of each; may be of width 0.
    """

    ids_N: NDArray[np.int64]
    points_ND: Points
    burst_N: Labels
    neighbour_NK: Labels


@dataclass(frozen=True, slots=True)
class Partition:
    """One round's kinds.

    Attributes:
        ids_N: picture ids, ascending.
        label_N: 0 .. K-1, -1 unassigned; int64.
        probability_N: as it is stated (`agent.calibration`), float32 in [0, 1].
        core_N: bool; member by HDBSCAN itself.
        coarser: label -> number of its parent in the condensed tree (equal numbers belong together), None at the top.
        exemplars: label -> picture ids, the medoid first, then ever different ones.
        statistics: label -> what was measured.
        parameters: the setting in use, how it was chosen and the scores.
        neighbour_NK: rows (positions in `ids_N`) of the nearest pictures; may be of width 0.
        alone: what would be said of the same pictures if people had made no kinds; None where they made none.
    """

    ids_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    probability_N: NDArray[np.float32]
    core_N: NDArray[np.bool_]
    coarser: dict[int, int | None]
    exemplars: dict[int, tuple[int, ...]]
    statistics: dict[int, dict[str, float]]
    parameters: dict[str, object]
    neighbour_NK: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    alone: Alone | None = None


@dataclass(frozen=True, slots=True)
class Alone:
    """What is said of N pictures, as in `Partition`."""

    label_N: NDArray[np.int64]
    probability_N: NDArray[np.float32]
    core_N: NDArray[np.bool_]


def nothing_yet(ids_N: NDArray[np.int64], parameters: dict[str, object]) -> Partition:
    """Everything unassigned."""
    count = len(ids_N)
    return Partition(
        ids_N=ids_N.astype(np.int64),
        label_N=np.full(count, NONE, dtype=np.int64),
        probability_N=np.zeros(count, dtype=np.float32),
        core_N=np.zeros(count, dtype=np.bool_),
        coarser={},
        exemplars={},
        statistics={},
        parameters=parameters,
    )


def assemble(
    pictures: Pictures,
    kinds: Kinds,
    stability_K: Points | None,
    alone: Kinds | None,
    config: ClusterConfig,
    parameters: dict[str, object],
) -> Partition:
    """From observations back to pictures: near copies share what was found for the one that stands for them.

    Args:
        stability_K: of each kind under subsampling; None where it was not measured.
        alone: the kinds, by the same labels, as they would be if people had made none.
        parameters: what is recorded of how the kinds were found.
    """
    ids_N, points_ND, burst_N = pictures.ids_N, pictures.points_ND, pictures.burst_N
    said = of_pictures(kinds, burst_N, config.assign)
    core_N, probability_N, stands_N = kinds.core_N[burst_N] >= 0, kinds.probability_N[burst_N], first_of_each(burst_N)
    by_kind_N = np.argsort(said.label_N, kind="stable")
    bound_K = np.searchsorted(said.label_N[by_kind_N], np.arange(kinds.count + 1))

    def describe(kind: int) -> tuple[tuple[int, ...], dict[str, float]]:
        member_M = by_kind_N[bound_K[kind] : bound_K[kind + 1]]
        points_MD, core_M, stands_M = points_ND[member_M], core_N[member_M], stands_N[member_M]
        heart_H = np.flatnonzero(core_M & stands_M)
        chosen_H = heart_H[diverse(points_MD[heart_H], config.exemplars)]
        return tuple(ids_N[member_M[chosen_H]].tolist()), {
            "size": float(len(member_M)),
            "core_size": float(core_M.sum()),
            "observations": float(stands_M.sum()),
            "persistence": float(kinds.persistence_K[kind]),
            "mean_probability": float(probability_N[member_M].mean()),
            "cohesion": cohesion(points_MD),
            **({} if stability_K is None else {"stability": float(stability_K[kind])}),
        }

    described = over_blocks(lambda part: describe(part.start), kinds.count, 1)
    return Partition(
        ids_N=ids_N.astype(np.int64),
        label_N=said.label_N,
        probability_N=said.probability_N,
        core_N=said.core_N,
        coarser=dict(enumerate(kinds.parent_K)),
        exemplars=dict(enumerate(chosen for chosen, _ in described)),
        statistics=dict(enumerate(measured for _, measured in described)),
        parameters=parameters,
        neighbour_NK=pictures.neighbour_NK,
        alone=None if alone is None else of_pictures(alone, burst_N, config.assign),
    )


def of_pictures(kinds: Kinds, burst_N: Labels, assign: float) -> Alone:
    """What is said of each picture by what was found for the one that stands for it."""
    core_N = kinds.core_N[burst_N] >= 0
    label_N = np.where(core_N | (kinds.sure_N[burst_N] >= assign), kinds.label_N[burst_N], NONE).astype(np.int64)
    probability_N = np.where(label_N == NONE, 0, kinds.probability_N[burst_N]).astype(np.float32)
    return Alone(label_N, probability_N, core_N & (label_N != NONE))


def first_of_each(burst_N: Labels) -> NDArray[np.bool_]:
    """True for the first picture of each burst."""
    first_N = np.zeros(len(burst_N), dtype=np.bool_)
    first_N[np.unique(burst_N, return_index=True)[1]] = True
    return first_N


def diverse(points_MD: Points, most: int) -> Labels:
    """Rows of up to `most` points: the one nearest to the centre, then always the farthest from those taken.

    Farthest-first traversal (Gonzalez 1985).
    """
    if len(points_MD) == 0:
        return np.empty(0, dtype=np.int64)
    taken = [int((points_MD @ points_MD.mean(axis=0)).argmax())]
    nearest_M = points_MD @ points_MD[taken[0]]
    while len(taken) < min(most, len(points_MD)):
        nearest_M[taken[-1]] = np.inf
        taken.append(int(nearest_M.argmin()))
        np.maximum(nearest_M, points_MD @ points_MD[taken[-1]], out=nearest_M)
    return np.array(taken, dtype=np.int64)


def cohesion(points_MD: Points) -> float:
    """Mean cosine of the members to their centre: that is how long the mean of points of unit length is."""
    return float(np.linalg.norm(points_MD.mean(axis=0)))
