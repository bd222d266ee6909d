"""Which of very many pictures are most like one: a pass over them in pieces, of which only the best are kept.

Compared are the embeddings side by side, each centred and unit, the innate one with its weight, as where kinds are
looked for (`agent.space`), but along all of their directions: principal axes serve kinds, and leave out what tells
two pictures of one kind apart. A picture without a learned embedding is compared by its innate one. It knows nothing
about storage or kinds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.space import Points, centred_unit, checked


@dataclass(frozen=True, slots=True)
class Piece:
    """Some pictures, B of them.

    Attributes:
        ids_B: picture ids.
        innate_BD: innate embeddings, any float type.
        learned_BD: learned ones; rows of those that have none hold anything. None where nobody has any.
        has_B: which of them have a learned one.
    """

    ids_B: NDArray[np.int64]
    innate_BD: NDArray[np.floating]
    learned_BD: NDArray[np.floating] | None
    has_B: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Centres:
    """What embeddings are centred with, and the innate half's weight beside the learned half's 1."""

    innate_mean_D: Points
    learned_mean_D: Points | None
    innate_weight: float


@dataclass(frozen=True, slots=True)
class Alike:
    """Pictures, most alike first: ids (M,) and cosines (M,)."""

    ids_M: NDArray[np.int64]
    cosine_M: Points


def centres_of(sample: Piece, innate_weight: float) -> Centres:
    """From some pictures, where no round has fitted a space."""
    learned_mean_D = None
    if sample.learned_BD is not None and sample.has_B.any():
        learned_mean_D = checked(sample.learned_BD[sample.has_B]).mean(axis=0)
    return Centres(checked(sample.innate_BD).mean(axis=0), learned_mean_D, innate_weight)


class MostAlike:
    """The pictures most like one, over any number of pieces; memory is bounded by a piece.

    Args:
        innate_D, learned_D: of the picture; the learned one is None where it has none.
        most: how many are kept.
        but: picture that is left out: itself.
    """

    def __init__(
        self,
        centres: Centres,
        innate_D: NDArray[np.floating],
        learned_D: NDArray[np.floating] | None,
        most: int,
        but: int | None = None,
    ) -> None:
        self._centres = centres
        self._innate_D = centred_unit(checked(innate_D[None]), centres.innate_mean_D)[0]
        self._learned_D: Points | None = None
        if learned_D is not None and centres.learned_mean_D is not None:
            self._learned_D = centred_unit(checked(learned_D[None]), centres.learned_mean_D)[0]
        self._most, self._but = most, but
        self._best = Alike(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))

    def over(self, pieces: Iterable[Piece]) -> Alike:
        """The best of all that has been seen; of equals, the one that came first."""
        for piece in pieces:
            cosine_B = self.cosines(piece)
            other_B = piece.ids_B != self._but
            ids_M = np.concatenate([self._best.ids_M, piece.ids_B[other_B]])
            cosine_M = np.concatenate([self._best.cosine_M, cosine_B[other_B]])
            order_M = np.argsort(-cosine_M, kind="stable")[: self._most]
            self._best = Alike(ids_M[order_M], cosine_M[order_M])
        return self._best

    def cosines(self, piece: Piece) -> Points:
        """Of the two halves side by side, (B,); of the innate halves where one side has no learned one."""
        centres = self._centres
        innate_B: Points = centred_unit(checked(piece.innate_BD), centres.innate_mean_D) @ self._innate_D
        if self._learned_D is None or piece.learned_BD is None or centres.learned_mean_D is None:
            return innate_B
        both_B = piece.has_B
        learned_BD = centred_unit(checked(piece.learned_BD[both_B]), centres.learned_mean_D)
        weight = centres.innate_weight**2
        cosine_B = innate_B.copy()
        cosine_B[both_B] = (weight * innate_B[both_B] + learned_BD @ self._learned_D) / (weight + 1)
        return cosine_B
