"""The window as the clusterer keeps it between rounds: a space, the pictures in it, their bursts and their graph.

A round brings some pictures and takes some away, and only these cost anything. All is made anew for another encoder
version, since its vectors are others, and when half of the window came after the space was fitted, since the space
then speaks of what has gone. It knows nothing about kinds or settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.bursts import Bursts, NearCopy
from agent.config import ClusterConfig
from agent.discovery import wanted
from agent.space import Points, Space, fit_space, unit

# Rows from which the space is fitted; a window of no more pictures is made anew each time, which costs little.
SPACE_ROWS = 4_096
# Pictures projected at a time: bounds the memory that vectors of full length take.
CHUNK = 1_024


@dataclass(frozen=True, slots=True)
class Embedded:
    """Pictures with their vectors, all of one encoder version.

    Attributes:
        ids_N: picture ids, unique.
        innate_ND: innate embeddings, any float type.
        learned_ND: learned ones; None where there are none (version 1).
    """

    ids_N: NDArray[np.int64]
    innate_ND: NDArray[np.floating]
    learned_ND: NDArray[np.floating] | None

    def __post_init__(self) -> None:
        if len(self.ids_N) != len(self.innate_ND) or (
            self.learned_ND is not None and len(self.ids_N) != len(self.learned_ND)
        ):
            raise ValueError("ids and embeddings differ in length; give one row per picture")

    def rows(self, row_M: NDArray[np.int64]) -> Embedded:
        """Some of them, or all in another order."""
        learned_MD = None if self.learned_ND is None else self.learned_ND[row_M]
        return Embedded(self.ids_N[row_M], self.innate_ND[row_M], learned_MD)

    def finite(self) -> Embedded:
        """Those whose vectors are all finite: one broken vector must not keep everyone from being sorted."""
        finite_N = np.isfinite(self.innate_ND).all(axis=1)
        if self.learned_ND is not None:
            finite_N &= np.isfinite(self.learned_ND).all(axis=1)
        return self if finite_N.all() else self.rows(np.flatnonzero(finite_N))

    def of(self, ids_M: NDArray[np.int64]) -> Embedded:
        """Those of the pictures asked for that are among these; a `Read` of what is in memory."""
        return self.rows(np.flatnonzero(np.isin(self.ids_N, ids_M)))

    def ascending(self) -> Embedded:
        """By id."""
        return self.rows(np.argsort(self.ids_N, kind="stable"))


@dataclass(frozen=True, slots=True)
class Projected:
    """Pictures on their way in: ids ascending, innate embeddings of unit length (float16), points of the space."""

    ids_M: NDArray[np.int64]
    innate_MD: NDArray[np.float16]
    points_MD: Points


Read = Callable[[NDArray[np.int64]], Embedded]
"""Gives the vectors of those of the pictures asked for that have any."""


class Observed:
    """A window of one encoder version.

    Args:
        window: the pictures that it begins with, by ascending id; at least one.
        config: section `cluster`.
        rng: draws the rows from which the space is fitted, where there are many.

    Attributes:
        version: of the encoder.
        ids_N: pictures in the window, ascending; rows of all else.
        space: in which they are compared.
        bursts: near copies and the graph.

    Raises:
        ValueError: for NaN or infinity.
    """

    def __init__(self, window: Embedded, version: int, config: ClusterConfig, rng: np.random.Generator) -> None:
        self.version = version
        self._newest = int(window.ids_N[-1])
        self.space = space_of(window, config, rng)
        self.ids_N = np.empty(0, dtype=np.int64)
        widths = (window.innate_ND.shape[1], self.space.axes_DP.shape[1])
        near_copy = NearCopy(config.near_copy, config.near_copy_centred)
        self.bursts = Bursts(near_copy, max(wanted(config.min_samples), *config.k), widths)
        self._insert(self._projected(window))

    @property
    def points_ND(self) -> Points:
        """Of unit length, in the space."""
        return self.bursts.points_ND

    def serves(self, ids_N: NDArray[np.int64], version: int) -> bool:
        """Whether this can become the window of these pictures, or all is to be made anew."""
        if version != self.version or len(ids_N) <= SPACE_ROWS:
            return False
        return 2 * int((ids_N > self._newest).sum()) < len(ids_N)

    def become(self, ids_N: NDArray[np.int64], read: Read) -> None:
        """Take in and let go until these pictures (ascending) are the window, as far as they have vectors.

        Raises:
            ValueError: for NaN or infinity; then nothing has changed.
        """
        comes_M = np.setdiff1d(ids_N, self.ids_N, assume_unique=True)
        newcomers = self._projected(read(comes_M).ascending()) if len(comes_M) else None
        goes_N = ~np.isin(self.ids_N, ids_N)
        if goes_N.any():
            self.bursts.remove(np.flatnonzero(goes_N))
            self.ids_N = self.ids_N[~goes_N]
        if newcomers is not None:
            self._insert(newcomers)

    def _projected(self, pictures: Embedded) -> Projected:
        innate_MD = np.empty(pictures.innate_ND.shape, dtype=np.float16)
        points_MD = np.empty((len(pictures.ids_N), self.space.axes_DP.shape[1]), dtype=np.float32)
        for start in range(0, len(pictures.ids_N), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(pictures.ids_N)))
            part = pictures.rows(rows)
            points_MD[rows] = self.space.project(part.innate_ND, part.learned_ND)
            innate_MD[rows] = unit(part.innate_ND)
        return Projected(pictures.ids_N, innate_MD, points_MD)

    def _insert(self, newcomers: Projected) -> None:
        # `union1d` looks for what is in both, in ten times the time; nothing is.
        self.ids_N = np.sort(np.concatenate([self.ids_N, newcomers.ids_M]))
        at_M = np.searchsorted(self.ids_N, newcomers.ids_M)
        self.bursts.insert(newcomers.innate_MD, newcomers.points_MD, at_M)


def space_of(window: Embedded, config: ClusterConfig, rng: np.random.Generator) -> Space:
    """Fitted to all rows, or to a uniform sample of SPACE_ROWS."""
    if len(window.ids_N) > SPACE_ROWS:
        window = window.rows(np.sort(rng.choice(len(window.ids_N), SPACE_ROWS, replace=False)))
    return fit_space(window.innate_ND, window.learned_ND, config.dims, config.innate_weight)
