"""What is measured of clouds."""

from __future__ import annotations

import numpy as np

from benchmarks.valleys import cloud, kinds_of, separations
from tests.agent.shapes import blobs


def test_what_is_apart_has_deep_valleys_either_way_and_is_several_kinds() -> None:
    points, _ = blobs([80, 80], dims=16, spread=0.3)
    points_ND = points.astype(np.float32)
    separation, same = separations(points_ND)
    assert separation > 0.9
    assert same > 0.9
    assert kinds_of(points_ND) == 2


def test_a_cloud_has_deeper_valleys_by_the_points_that_drew_the_line() -> None:
    both = np.array([separations(cloud(60, 32, seed)) for seed in range(6)])
    assert both[:, 1].sum() > both[:, 0].sum()
