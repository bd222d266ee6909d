"""What is counted when the map is measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.layout import displacement, trust
from tests.agent.test_umap import blobs


def test_the_way_is_counted_after_alignment_and_of_what_was_there() -> None:
    before = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    turned = before @ np.array([[0, 1], [1, 0]], dtype=np.float32) + 3
    before[40:] = np.nan
    assert displacement(before, turned) == pytest.approx(0, abs=1e-5)
    assert displacement(before, turned[::-1].copy()) > 0.1


def test_a_map_that_keeps_neighbours_is_trusted_more_than_chance() -> None:
    points = blobs(200)
    scattered = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    assert trust(points, points[:, :2]) > trust(points, scattered) + 0.1
