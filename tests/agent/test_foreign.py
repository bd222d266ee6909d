"""What lies so far from the centre that it belongs nowhere."""

from __future__ import annotations

import numpy as np
import pytest

from agent.foreign import apart, foreign_beyond
from tests.agent.shapes import blobs


@pytest.mark.parametrize("spread", [0.25, 0.8, 1.5])
def test_hardly_anything_in_one_cloud_is_foreign(spread: float) -> None:
    points, _ = blobs([3_000], dims=32, spread=spread)
    far = apart(points, points.mean(axis=0))
    assert (far > foreign_beyond(far)).sum() <= 1


def test_what_lies_elsewhere_is_foreign() -> None:
    points, truth = blobs([300], dims=32, spread=0.8, noise=30)
    far = apart(points, points.mean(axis=0))
    assert np.array_equal(far > foreign_beyond(far), truth < 0)


def test_copies_are_not_foreign_to_each_other() -> None:
    copies = np.repeat(np.random.default_rng(0).normal(size=(1, 64)), 50, axis=0)
    rounded = (copies + 1e-3 * np.random.default_rng(1).normal(size=copies.shape)).astype(np.float16)
    far = apart(rounded, rounded.astype(np.float32).mean(axis=0))
    assert not (far > foreign_beyond(far)).any()


def test_it_is_the_distance_of_directions() -> None:
    far = apart(np.array([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]), np.array([4.0, 0.0], dtype=np.float32))
    assert far.tolist() == pytest.approx([0, 2**0.5, 2])
