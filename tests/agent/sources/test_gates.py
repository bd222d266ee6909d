"""Gates: each reason by itself, their order, and that every picture is counted once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.config import GatesConfig
from agent.masks import polygons_of
from agent.sources.gates import Blank, Frozen, Gate, Gates, Look, Motion, NearDuplicate, RateCap, seen

SHAPE = (90, 160)
ALL = np.ones(SHAPE, dtype=np.bool_)
RIGHT_HALF = ((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0))


def scene(seed: int = 0, noise: float = 2.0, light: float = 0.0) -> NDArray[np.uint8]:
    """A gradient with some structure, and a sensor's noise."""
    y, x = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    base = 90 + 40 * np.sin(x / 17) + 30 * np.cos(y / 11)
    noisy_HW = base + light + np.random.default_rng(seed).normal(0, noise, SHAPE)
    grey_HW: NDArray[np.uint8] = np.clip(noisy_HW, 0, 255).astype(np.uint8)
    return grey_HW


def with_object(grey_HW: NDArray[np.uint8], x: int, y: int = 40, side: int = 12, value: int = 250) -> NDArray[np.uint8]:
    changed = grey_HW.copy()
    changed[y : y + side, x : x + side] = value
    return changed


def look(grey_HW: NDArray[np.uint8], at_s: float = 0.0, seen_HW: NDArray[np.bool_] = ALL) -> Look:
    return Look(grey_HW, seen_HW, at_s)


def admit(gate: Gate, one: Look) -> bool:
    """Ask a gate, and keep what passes."""
    passed = gate.passes(one)
    if passed:
        gate.kept(one)
    return passed


def keep(gates: Gates, grey_HW: NDArray[np.uint8], at_s: float) -> bool:
    """Ask all gates, and keep what they admit."""
    admitted = gates.admit(grey_HW, at_s)
    if admitted is not None:
        gates.kept(admitted)
    return admitted is not None


def test_a_picture_that_equals_the_one_before_is_frozen() -> None:
    gate = Frozen()
    assert [gate.passes(look(scene(seed))) for seed in (0, 0, 0, 1, 0)] == [True, False, False, True, True]
    assert gate.passes(look(np.zeros((10, 10), dtype=np.uint8), seen_HW=np.ones((10, 10), dtype=np.bool_)))


def test_one_grey_is_blank_and_masked_pixels_do_not_help() -> None:
    gate = Blank(3)
    assert not gate.passes(look(np.full(SHAPE, 7, dtype=np.uint8)))
    assert gate.passes(look(scene()))
    clock_in_the_dark = with_object(np.zeros(SHAPE, dtype=np.uint8), x=100)
    assert gate.passes(look(clock_in_the_dark))
    assert not gate.passes(look(clock_in_the_dark, seen_HW=seen([RIGHT_HALF], SHAPE)))
    assert not gate.passes(look(scene(), seen_HW=np.zeros(SHAPE, dtype=np.bool_)))


def test_motion_is_an_object_and_neither_noise_nor_light() -> None:
    gate = Motion(area=0.002, level=20)
    assert gate.passes(look(scene(0)))
    assert not gate.passes(look(scene(1)))
    assert not gate.passes(look(scene(2, noise=6)))
    assert not gate.passes(look(scene(3, light=30)))
    assert gate.passes(look(with_object(scene(4), x=100)))


def test_motion_has_a_minimum_area_and_masks() -> None:
    for side, moved in ((4, False), (12, True)):
        gate = Motion(area=0.005, level=20)
        gate.passes(look(scene(0)))
        assert gate.passes(look(with_object(scene(1), x=100, side=side))) == moved
    masked = seen([RIGHT_HALF], SHAPE)
    gate = Motion(area=0.002, level=20)
    gate.passes(look(scene(0), seen_HW=masked))
    assert not gate.passes(look(with_object(scene(1), x=100), seen_HW=masked))
    assert gate.passes(look(with_object(scene(2), x=20), seen_HW=masked))


def test_what_has_stopped_becomes_background() -> None:
    gate = Motion(area=0.002, level=20)
    gate.passes(look(scene(0)))
    moved = [gate.passes(look(with_object(scene(seed), x=100))) for seed in range(1, 60)]
    assert moved[0]
    assert not moved[-1]


def test_a_change_of_size_begins_anew() -> None:
    gate = Motion(area=0.002, level=20)
    gate.passes(look(scene(0)))
    small = look(scene(0)[::2, ::2], seen_HW=ALL[::2, ::2])
    assert gate.passes(small)
    assert not gate.passes(small)


def test_a_repeat_of_any_of_the_last_that_were_kept_is_refused() -> None:
    gate = NearDuplicate(bits=4)
    there, gone = with_object(scene(0, noise=0), x=100, side=40), scene(0, noise=0)
    assert admit(gate, look(there))
    assert admit(gate, look(gone))
    assert not admit(gate, look(there))
    assert not admit(gate, look(gone))


def test_the_rate_is_that_of_any_minute() -> None:
    gate = RateCap(3)
    times = [0, 1, 2, 3, 59, 60.5, 60.6, 61.5, 130]
    assert [admit(gate, look(scene(), t)) for t in times] == [True] * 3 + [False] * 2 + [True, False, True, True]
    assert admit(gate, look(scene(), 0.0))  # a film that began again


def test_the_first_gate_that_refuses_gives_the_reason_and_all_are_counted() -> None:
    gates = Gates(GatesConfig(per_minute=2))
    pictures = [scene(0), scene(0), np.zeros(SHAPE, dtype=np.uint8), scene(1)]
    pictures += [with_object(scene(seed), x=10 * seed, side=30) for seed in range(2, 6)]
    kept = [keep(gates, grey_HW, float(at_s)) for at_s, grey_HW in enumerate(pictures)]
    assert kept == [True, False, False, False, True, False, False, False]
    counts = dict(gates.counts)
    assert counts == {"looked": 8, "kept": 2, "frozen": 1, "blank": 1, "still": 1, "too_many": 3}
    assert counts.pop("looked") == sum(counts.values())


def test_a_picture_is_kept_now_and_then_even_if_nothing_moves() -> None:
    gates = Gates(GatesConfig(keepalive_s=10))
    kept = [at_s for at_s in range(60) if keep(gates, scene(at_s), float(at_s))]
    assert kept == [0, 10, 20, 30, 40, 50]
    assert gates.counts["keepalive"] == 5
    gates = Gates(GatesConfig(keepalive_s=10))
    kept = [at_s for at_s in range(60) if keep(gates, scene(0), float(at_s))]
    assert kept == [0], "a frozen picture is no sign of life"


def test_a_sign_of_life_is_due_after_the_first_look_even_if_what_came_first_found_no_room() -> None:
    gates = Gates(GatesConfig(keepalive_s=10))
    assert gates.admit(scene(0), 0.0) is not None
    assert [at_s for at_s in range(1, 25) if keep(gates, scene(at_s), float(at_s))] == [10, 20]


def test_what_could_not_be_kept_counts_as_never_admitted() -> None:
    gates = Gates(GatesConfig(motion_area=0))
    assert gates.admit(scene(0, noise=0), 0.0) is not None
    assert keep(gates, scene(1, noise=1), 1.0)
    assert not keep(gates, scene(0, noise=0), 2.0)
    assert gates.counts["kept"] == 1


def test_gates_that_are_off_are_not_there() -> None:
    off = GatesConfig(frozen=False, blank=0, motion_area=0, near_bits=0, per_minute=0)
    gates = Gates(off)
    assert all(keep(gates, np.zeros(SHAPE, dtype=np.uint8), 0.0) for _ in range(5))


def test_masks_are_those_of_the_camera_and_fit_every_size() -> None:
    masks = ("front=0,0 0.5,0 0.5,1 0,1", "back=0,0 1,0 1,1 0,1")
    (polygon,) = polygons_of("front", masks)
    for shape in ((90, 160), (45, 80)):
        seen_HW = seen([polygon], shape)
        assert seen_HW.shape == shape
        assert seen_HW.mean() == pytest.approx(0.5, abs=0.02)
        assert seen_HW[:, -1].all()
    assert polygons_of("side", masks) == ()
