"""The space in which kinds are looked for: innate and learned embedding side by side, reduced and of unit length.

The innate half weighs less: what was learned is the better of the two on every domain measured, and the innate half
is what holds if that should ever fail (`docs/learning.md`).

It knows nothing about neighbours, kinds or encoder versions; it refuses what is not finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]

# A centred vector shorter than this share of the mean's length is rounding of float16, not a direction.
NO_DIRECTION = 1e-3


@dataclass(frozen=True, slots=True)
class Space:
    """Centres and principal axes, fitted once per encoder version and whenever the window has doubled.

    Attributes:
        innate_mean_D: centre of the innate embeddings.
        learned_mean_D: centre of the learned ones; None where there is no learned half.
        mean_D: centre of the two halves side by side.
        axes_DP: principal axes, P = min(dims, n - 1, D), at least 1.
        innate_weight: length of the innate half, where the learned one has length 1; 1 where it is alone.
    """

    innate_mean_D: Points
    learned_mean_D: Points | None
    mean_D: Points
    axes_DP: Points
    innate_weight: float = 1.0

    def project(self, innate_ND: NDArray[np.floating], learned_ND: NDArray[np.floating] | None) -> Points:
        """(N, D) halves -> (N, P) points of unit length, float32.

        Raises:
            ValueError: for NaN or infinity, or when a half is missing that the space was fitted with, or the reverse.
        """
        if (learned_ND is None) != (self.learned_mean_D is None):
            raise ValueError("learned embeddings must be given exactly when the space was fitted with them; fit again")
        halves = [self.innate_weight * centred_unit(checked(innate_ND), self.innate_mean_D)]
        if learned_ND is not None and self.learned_mean_D is not None:
            halves.append(centred_unit(checked(learned_ND), self.learned_mean_D))
        moved_NP = (np.hstack(halves) - self.mean_D) @ self.axes_DP
        return unit(np.asarray(moved_NP, dtype=np.float32))


def fit_space(
    innate_ND: NDArray[np.floating], learned_ND: NDArray[np.floating] | None, dims: int, innate_weight: float = 1.0
) -> Space:
    """Fit centres and principal axes to N >= 1 pictures; (N, D) halves of any float type.

    The cost is that of N x D x D numbers and an eigenvalue problem of min(N, D): give a few thousand rows at most.

    Raises:
        ValueError: for no pictures, NaN or infinity.
    """
    if len(innate_ND) == 0:
        raise ValueError("a space needs at least one picture")
    innate_mean_D = checked(innate_ND).mean(axis=0)
    innate_weight = 1.0 if learned_ND is None else innate_weight
    halves = [innate_weight * centred_unit(checked(innate_ND), innate_mean_D)]
    learned_mean_D = None
    if learned_ND is not None:
        learned_mean_D = checked(learned_ND).mean(axis=0)
        halves.append(centred_unit(checked(learned_ND), learned_mean_D))
    side_by_side_ND = np.hstack(halves)
    mean_D = side_by_side_ND.mean(axis=0)
    axes_DP = principal_axes(side_by_side_ND - mean_D, dims)
    return Space(innate_mean_D, learned_mean_D, mean_D, axes_DP, innate_weight)


def principal_axes(centred_ND: Points, dims: int) -> Points:
    """Directions of greatest variance, (D, P) with P = min(dims, N - 1, D), at least 1; signs are fixed."""
    count, width = centred_ND.shape
    axes = max(1, min(dims, count - 1, width))
    if count < width:
        values_A, sides_NA = largest_eigenvectors(centred_ND @ centred_ND.T, axes)
        axes_DP = centred_ND.T @ sides_NA / np.sqrt(np.maximum(values_A, 1e-12))
    else:
        _, axes_DP = largest_eigenvectors(centred_ND.T @ centred_ND, axes)
    largest = np.abs(axes_DP).argmax(axis=0)
    return np.asarray(axes_DP * np.sign(axes_DP[largest, np.arange(axes)]), dtype=np.float32)


def largest_eigenvectors(matrix: Points, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The `count` largest eigenvalues of a symmetric matrix and their vectors as columns, largest first."""
    from scipy.linalg import eigh  # only to fit: whoever projects should not wait for it

    size = len(matrix)
    values, vectors = eigh(matrix.astype(np.float64), subset_by_index=(size - count, size - 1))
    return values[::-1], vectors[:, ::-1]


def centred_unit(points_ND: Points, mean_D: Points) -> Points:
    """Subtract the centre and scale to unit length; what lies at the centre gets the first axis as its direction."""
    return unit(points_ND - mean_D, shortest=NO_DIRECTION * float(np.linalg.norm(mean_D)))


def unit(points_ND: NDArray[np.floating], shortest: float = 0.0) -> Points:
    """Rows of unit length; rows not longer than `shortest` become the first axis, so that equal rows stay equal."""
    points_ND = np.asarray(points_ND, dtype=np.float32)
    length_N1 = np.sqrt(np.einsum("nd,nd->n", points_ND, points_ND))[:, None]
    tiny_N = length_N1[:, 0] <= max(shortest, 1e-12)
    scaled_ND = points_ND / np.where(tiny_N[:, None], 1, length_N1)
    scaled_ND[tiny_N] = 0
    scaled_ND[tiny_N, 0] = 1
    return np.asarray(scaled_ND, dtype=np.float32)


def checked(points_ND: NDArray[np.floating]) -> Points:
    """As float32.

    Raises:
        ValueError: for NaN or infinity, or if it is not a matrix.
    """
    if points_ND.ndim != 2:
        raise ValueError(f"embeddings must be a matrix (N, D), not of shape {points_ND.shape}")
    if not np.isfinite(points_ND).all():
        bad = int((~np.isfinite(points_ND).all(axis=1)).sum())
        raise ValueError(f"{bad} embeddings are not finite; embed these pictures again")
    return np.asarray(points_ND, dtype=np.float32)
