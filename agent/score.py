"""How good kinds are, without labels: silhouette, stability under subsampling, and the valleys between them.

It knows nothing about settings, graphs or pictures: points and labels in, numbers out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, silhouette_score

from agent.propagation import Labels
from agent.space import Points

SILHOUETTE_POINTS = 2_000
# Members of a kind that speak for it when valleys are looked for.
VALLEY_POINTS = 1_000
# Pairs of kinds that are looked at; of more, evenly so many.
VALLEYS = 100
# Of these, every so many first; and how far off a bound they must be to say enough.
GLANCE, FAR_OFF = 4, 0.2
# Positions along the line between two kinds' centres at which the density is looked at.
PROFILE = 64


def silhouette(points_ND: Points, label_N: Labels, rng: np.random.Generator) -> float:
    """Mean silhouette by cosine, on at most SILHOUETTE_POINTS assigned points; 0 for fewer than two kinds."""
    row_M = np.flatnonzero(label_N >= 0)
    if len(row_M) > SILHOUETTE_POINTS:
        row_M = rng.choice(row_M, SILHOUETTE_POINTS, replace=False)
    kinds = len(np.unique(label_N[row_M]))
    if kinds < 2 or kinds >= len(row_M):
        return 0.0
    return float(silhouette_score(points_ND[row_M], label_N[row_M], metric="cosine"))


def agreement(label_N: Labels, other_N: Labels) -> float:
    """Adjusted Rand index, not below 0."""
    return max(0.0, float(adjusted_rand_score(label_N, other_N)))


def kind_stability(label_N: Labels, other_N: Labels, kinds: int) -> Points:
    """For each kind the largest Jaccard index with a kind of the other labelling (Hennig 2007), (K,)."""
    stability_K = np.zeros(kinds, dtype=np.float32)
    for kind in range(kinds):
        mine_N = label_N == kind
        for other in np.unique(other_N[mine_N & (other_N >= 0)]):
            theirs_N = other_N == other
            stability_K[kind] = max(stability_K[kind], (mine_N & theirs_N).sum() / (mine_N | theirs_N).sum())
    return stability_K


def separation(points_ND: Points, label_N: Labels, kinds: int, bound: float | None = None) -> float:
    """1 minus the median over pairs of kinds of their `valley`: how clearly there is more than one kind; 0 for one.

    A silhouette cannot tell one kind from several: it is as high for one elongated cloud that is cut in two.

    Args:
        bound: to which side of it is asked; what is far off is told by a quarter of the pairs.
    """
    members = [points_ND[np.flatnonzero(label_N == kind)] for kind in range(kinds)]
    spoken = [halved(group[:: 1 + len(group) // VALLEY_POINTS]) for group in members if len(group) > 1]
    pairs = list(combinations(spoken, 2))
    pairs = pairs[:: 1 + len(pairs) // VALLEYS]
    if bound is not None and len(pairs) >= VALLEYS // 2:
        glance = median_depth(pairs[::GLANCE])
        if abs(glance - bound) > FAR_OFF:
            return glance
    return median_depth(pairs) if pairs else 0.0


def median_depth(pairs: Sequence[tuple[Halves, Halves]]) -> float:
    """1 minus the median `valley` of pairs of groups."""
    return 1 - float(np.median([between_halves(one, other) for one, other in pairs]))


@dataclass(frozen=True, slots=True)
class Half:
    """Every other member of a group, and the centre of the others."""

    points_ND: Points
    centre_D: Points


Halves = tuple[Half, Half]


def halved(points_ND: Points) -> Halves:
    """Of at least two points."""
    even_ND, odd_ND = points_ND[::2], points_ND[1::2]
    return Half(odd_ND, even_ND.mean(axis=0)), Half(even_ND, odd_ND.mean(axis=0))


def valley(one_ND: Points, other_MD: Points) -> float:
    """Density between two groups over the lower of their peaks, along the line through their centres.

    0: nothing lies between them; 1: no valley. Each group counts the same, however large it is. The line is drawn
    through one half of the members and the density taken of the other half, both ways: in many dimensions the line
    through a few points has a valley by its making.
    """
    return between_halves(halved(one_ND), halved(other_MD))


def between_halves(one: Halves, other: Halves) -> float:
    """The `valley` of two groups."""
    ways = zip(one, other, strict=True)
    return float(np.mean([along(a.centre_D - b.centre_D, a.points_ND, b.points_ND) for a, b in ways]))


def axis(one_ND: Points, other_MD: Points) -> Points:
    """From the centre of the other to the centre of one, (D,)."""
    return np.asarray(one_ND.mean(axis=0) - other_MD.mean(axis=0))


def along(axis_D: Points, one_ND: Points, other_MD: Points) -> float:
    """The `valley` of two groups along a given line; 1 where they do not lie as it says."""
    at_N, at_M = one_ND @ axis_D, other_MD @ axis_D
    mean_N, mean_M = float(at_N.mean()), float(at_M.mean())
    if mean_N <= mean_M:
        return 1.0
    spread = float(np.sqrt((at_N.var() + at_M.var()) / 2))
    width = max(1e-9, 1.06 * spread * min(len(at_N), len(at_M)) ** -0.2)
    grid = np.linspace(mean_M, mean_N, PROFILE)
    density = profile(grid, at_N, width) + profile(grid, at_M, width)
    half, quarter = PROFILE // 2, PROFILE // 4
    peak = max(1e-30, min(density[:half].max(), density[half:].max()))
    return float(min(1.0, density[quarter:-quarter].min() / peak))


def profile(grid: NDArray[np.float64], at_N: Points, width: float) -> Points:
    """Gaussian kernel density of values at the positions of the grid, up to a constant factor; float32."""
    narrow = np.sqrt(0.5) / width
    gap_GN = np.subtract.outer((grid * narrow).astype(np.float32), at_N * np.float32(narrow))
    np.negative(np.square(gap_GN, out=gap_GN), out=gap_GN)
    return np.asarray(np.exp(gap_GN, out=gap_GN).mean(axis=1))
