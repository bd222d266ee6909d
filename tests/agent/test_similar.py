"""The most alike of many pictures, a piece at a time."""

from __future__ import annotations

import numpy as np
import pytest

from agent.similar import Centres, MostAlike, Piece, centres_of
from agent.space import fit_space

RNG = np.random.default_rng(0)
INNATE = (RNG.normal(size=(60, 20)) + 5).astype(np.float16)
LEARNED = RNG.normal(size=(60, 12)).astype(np.float16)
ALL = np.ones(60, dtype=np.bool_)
WEIGHT = 0.5


def piece(rows: slice, learned: bool = True) -> Piece:
    return Piece(np.arange(60)[rows], INNATE[rows], LEARNED[rows] if learned else None, ALL[rows])


def centres() -> Centres:
    return centres_of(piece(slice(None)), WEIGHT)


def side_by_side(weight: float) -> np.ndarray:
    """The naive way: both halves centred and unit, one weighed, of unit length together."""
    halves = []
    for half, w in ((INNATE, weight), (LEARNED, 1)):
        centred = half.astype(np.float32) - half.astype(np.float32).mean(axis=0)
        halves.append(w * centred / np.linalg.norm(centred, axis=1, keepdims=True))
    together = np.hstack(halves)
    scaled: np.ndarray = together / np.linalg.norm(together, axis=1, keepdims=True)
    return scaled


def test_cosines_are_those_of_the_halves_side_by_side() -> None:
    points = side_by_side(WEIGHT)
    found = MostAlike(centres(), INNATE[3], LEARNED[3], 60).cosines(piece(slice(None)))
    assert np.allclose(found, points @ points[3], atol=1e-3)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_pieces_of_any_size_give_the_same_and_leave_the_picture_itself_out(size: int) -> None:
    pieces = [piece(slice(start, start + size)) for start in range(0, 60, size)]
    alike = MostAlike(centres(), INNATE[3], LEARNED[3], 5, but=3).over(pieces)
    cosine = side_by_side(WEIGHT) @ side_by_side(WEIGHT)[3]
    wanted = [int(i) for i in np.argsort(-cosine) if i != 3][:5]
    assert alike.ids_M.tolist() == wanted
    assert (np.diff(alike.cosine_M) <= 0).all()


def test_a_picture_without_a_learned_half_is_compared_by_its_innate_one() -> None:
    has = ALL.copy()
    has[4] = False
    mixed = Piece(np.arange(60), INNATE, np.where(has[:, None], LEARNED, np.float16(0)), has)
    search = MostAlike(centres(), INNATE[3], LEARNED[3], 5)
    innate = MostAlike(centres(), INNATE[3], None, 5)
    assert search.cosines(mixed)[4] == innate.cosines(mixed)[4]
    assert np.delete(search.cosines(mixed), 4) == pytest.approx(np.delete(search.cosines(piece(slice(None))), 4))
    assert innate.cosines(piece(slice(None), learned=False)) == pytest.approx(innate.cosines(piece(slice(None))))


def test_centres_are_those_of_the_space() -> None:
    space = fit_space(INNATE, LEARNED, 8, WEIGHT)
    assert np.allclose(space.innate_mean_D, centres().innate_mean_D)
    assert space.learned_mean_D is not None
    assert centres().learned_mean_D == pytest.approx(space.learned_mean_D)
