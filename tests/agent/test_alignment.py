"""One map upon another."""

from __future__ import annotations

import numpy as np
import pytest

from agent.alignment import alignment

PLACES = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
ANGLE = 2.1
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
MIRROR = np.diag([1.0, -1.0])


@pytest.mark.parametrize("turn", [TURN, MIRROR, TURN @ MIRROR])
def test_rotation_mirroring_and_shift_are_undone(turn: np.ndarray) -> None:
    moved = (PLACES @ turn + [3, -7]).astype(np.float32)
    assert alignment(moved[:9], PLACES[:9]).moved(moved) == pytest.approx(PLACES, abs=1e-5)


def test_the_scale_is_undone_on_request_only() -> None:
    larger = 5 * PLACES
    assert alignment(larger, PLACES, scale=True).moved(larger) == pytest.approx(PLACES, abs=1e-5)
    kept = alignment(larger, PLACES).moved(larger)
    assert np.ptp(kept, axis=0) == pytest.approx(np.ptp(larger, axis=0), rel=1e-4)


def test_one_common_point_tells_the_shift_and_none_tells_nothing() -> None:
    for scale in (False, True):
        assert alignment(PLACES[:1] + 2, PLACES[:1], scale=scale).moved(PLACES + 2) == pytest.approx(PLACES, abs=1e-5)
        assert (alignment(PLACES[:0], PLACES[:0], scale=scale).moved(PLACES) == PLACES).all()
