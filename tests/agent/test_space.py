"""Centred, side by side, reduced, of unit length."""

from __future__ import annotations

import numpy as np
import pytest

from agent.space import fit_space

RNG = np.random.default_rng(0)
INNATE = RNG.normal(size=(50, 20)).astype(np.float16) + 5
LEARNED = RNG.normal(size=(50, 12)).astype(np.float16)


@pytest.mark.parametrize(("count", "dims"), [(50, 20), (10, 9), (2, 1), (1, 1)])
def test_dimensions_and_length(count: int, dims: int):
    points = fit_space(INNATE[:count], None, 64).project(INNATE[:count], None)
    assert points.shape == (count, dims)
    assert points.dtype == np.float32
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_both_halves_weigh_the_same():
    """Scaling one half changes nothing, for each is centred and unit before they are put side by side."""
    space = fit_space(INNATE, LEARNED, 8).project(INNATE, LEARNED)
    scaled = fit_space(INNATE, 100 * LEARNED.astype(np.float32), 8).project(INNATE, 100 * LEARNED.astype(np.float32))
    assert np.allclose(space, scaled, atol=1e-3)


def test_few_and_many_rows_give_the_same_axes():
    """With fewer rows than columns the axes come from the Gram matrix; both ways span the same space."""
    wide = np.hstack([INNATE, np.zeros((50, 60), dtype=np.float16)])
    few = fit_space(wide, None, 6).project(wide, None)
    many = fit_space(INNATE, None, 6).project(INNATE, None)
    assert np.allclose(few @ few.T, many @ many.T, atol=1e-3)


def test_identical_pictures_stay_identical():
    same = np.repeat(INNATE[:1], 30, axis=0)
    points = fit_space(same, None, 64).project(same, None)
    assert np.allclose(points @ points.T, 1, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float):
    broken = INNATE.copy()
    broken[3, 4] = bad
    with pytest.raises(ValueError, match="1 embeddings are not finite"):
        fit_space(broken, None, 8)


def test_a_missing_half_is_refused():
    space = fit_space(INNATE, LEARNED, 8)
    with pytest.raises(ValueError, match="learned"):
        space.project(INNATE, None)


def test_the_innate_half_weighs_what_it_is_told_to() -> None:
    def cosines(weight: float) -> np.ndarray:
        points = fit_space(INNATE, LEARNED, 64, weight).project(INNATE, LEARNED)
        return points @ points.T

    learned = fit_space(LEARNED, None, 64).project(LEARNED, None)
    assert np.allclose(cosines(0.0), learned @ learned.T, atol=1e-3)
    alone = fit_space(INNATE, None, 64, 0.0).project(INNATE, None)
    assert np.allclose(alone, fit_space(INNATE, None, 64).project(INNATE, None)), "alone it has no weight"
    assert not np.allclose(cosines(0.5), cosines(1.0), atol=1e-2)
