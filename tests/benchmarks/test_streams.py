from __future__ import annotations

import numpy as np
import pytest

from benchmarks.streams import FRAMES, ORDERS, stages_of

LABELS = np.repeat(np.arange(7), 30)


@pytest.mark.parametrize("order", ORDERS)
def test_every_class_arrives_and_no_picture_twice(order: str) -> None:
    stages = stages_of(LABELS, order, 3, seed=0)
    arrivals = np.concatenate([stage.arrivals_N for stage in stages])
    assert len(set(arrivals.tolist())) == len(arrivals)
    assert len(arrivals) >= 0.9 * len(LABELS)
    assert stages[-1].classes == frozenset(range(7))
    assert sorted(c for stage in stages for c in stage.fresh) == list(range(7))


def test_one_class_after_the_other_brings_all_of_it_at_once() -> None:
    stages = stages_of(LABELS, "class", 3, seed=0)
    assert [len(stage.fresh) for stage in stages] == [3, 2, 2]
    assert all({LABELS[i] for i in stage.arrivals_N} == stage.fresh for stage in stages)


def test_mixed_shows_every_class_from_the_start() -> None:
    assert stages_of(LABELS, "iid", 3, seed=0)[0].classes == frozenset(range(7))


def test_blurred_lets_one_group_fade_into_the_next() -> None:
    first, second, *_, last = stages_of(LABELS, "blurred", 7, seed=0)
    assert 0 in first.fresh
    assert 1 < len({LABELS[i] for i in second.arrivals_N}) < 7
    assert 0 not in {LABELS[i] for i in last.arrivals_N}


def test_frames_of_a_track_come_one_after_another() -> None:
    for stage in stages_of(LABELS, "frames", 3, seed=0):
        tracks = stage.arrivals_N.reshape(-1, FRAMES)
        assert (np.diff(tracks, axis=1) == 1).all()
        assert (tracks[:, 0] % FRAMES == 0).all()
        assert (np.diff(tracks[:, 0]) != FRAMES).any()


@pytest.mark.parametrize("order", ORDERS)
def test_the_seed_decides_the_order(order: str) -> None:
    same, again, other = (stages_of(LABELS, order, 3, seed=seed)[0].arrivals_N.tolist() for seed in (0, 0, 1))
    assert same == again != other


def test_another_order_of_classes() -> None:
    orders = [stages_of(LABELS, "class", 7, seed=0, class_seed=s) for s in (None, 1, 2)]
    firsts = [[next(iter(stage.fresh)) for stage in stages] for stages in orders]
    assert firsts[0] == list(range(7))
    assert firsts[1] != firsts[0] != firsts[2] != firsts[1]
