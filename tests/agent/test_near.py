"""Nearest kinds, against a plain loop."""

from __future__ import annotations

import numpy as np

from agent.near import near_kinds
from agent.space import unit


def test_the_nearest_kinds_are_those_whose_cores_have_the_nearest_centres():
    rng = np.random.default_rng(0)
    points = unit(rng.normal(size=(60, 5)).astype(np.float32))
    kind_R = rng.choice([-1, 4, 7, 9, 12], 60)
    centre = {kind: points[kind_R == kind].mean(axis=0) for kind in (4, 7, 9, 12)}
    found = near_kinds(points, kind_R, 2)
    assert list(found) == [4, 7, 9, 12]
    for kind, others in found.items():
        cosine = {
            other: float(centre[kind] @ centre[other] / np.linalg.norm(centre[kind]) / np.linalg.norm(centre[other]))
            for other in centre
            if other != kind
        }
        assert [other for other, _ in others] == sorted(cosine, key=lambda other: -cosine[other])[:2]
        assert np.allclose([value for _, value in others], [cosine[other] for other, _ in others], atol=1e-3)


def test_one_kind_has_no_neighbours_and_none_has_none():
    points = unit(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    assert near_kinds(points, np.array([3, 3, -1, 3]), 5) == {3: []}
    assert near_kinds(points, np.full(4, -1), 5) == {}
