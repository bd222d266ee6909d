"""The stream whose changes are known."""

from __future__ import annotations

import numpy as np
import pytest

from agent.graph import neighbour_graph
from agent.space import unit
from benchmarks import world
from benchmarks.world import Pair, World, between

CLASSES, EACH = 12, 60


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> World:
    """Twelve classes that are apart and of different shapes."""
    rng = np.random.default_rng(0)
    label_N = rng.permutation(np.repeat(np.arange(CLASSES), EACH))
    centre_CD, shape_CD = 1.5 * rng.normal(size=(CLASSES, 32)), rng.gamma(1.0, size=(CLASSES, 32))
    vectors_ND = centre_CD[label_N] + shape_CD[label_N] * rng.normal(size=(len(label_N), 32))
    monkeypatch.setitem(world.SETS, "shapes", (CLASSES, EACH, 12))
    monkeypatch.setattr(world, "innate_of", lambda *_: (vectors_ND.astype(np.float16), label_N))
    return World("shapes", 0)


def told_apart(seen_ND: np.ndarray, label_N: np.ndarray, pair: Pair) -> float:
    """Share of the neighbours of both classes that are of the same one."""
    of_pair_N = np.isin(label_N, (pair.one, pair.other))
    label_M = label_N[of_pair_N]
    neighbour_MK = neighbour_graph(unit(seen_ND[of_pair_N]), 8).neighbour_NK
    return float((label_M[neighbour_MK] == label_M[:, None]).mean())


def test_a_pair_is_apart_in_its_versions_only() -> None:
    pair = Pair(1, 2, apart_from=3, apart_until=6)
    assert [version for version in range(1, 8) if pair.apart(version)] == [3, 4, 5]


def test_nobody_can_tell_a_pair_apart_but_a_version_that_does(stream: World) -> None:
    for pair in stream.pairs:
        assert told_apart(stream.innate(), stream.label_N, pair) < 0.6
        for version in (2, 5, 8):
            learned_ND = stream.learned(version)
            assert learned_ND is not None
            apart = told_apart(learned_ND, stream.label_N, pair)
            assert apart > 0.9 if pair.apart(version) else apart < 0.6


def test_pictures_arrive_in_the_order_of_their_indices_and_only_while_their_class_is_there(stream: World) -> None:
    arrivals = stream.arrivals()
    assert np.array_equal(np.concatenate(arrivals), np.arange(len(stream.label_N)))
    for number, part_N in enumerate(arrivals):
        assert set(stream.label_N[part_N].tolist()) <= set(stream.present(number))


def test_others_of_a_class_lie_between_two_of_it() -> None:
    one_MD = unit(np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) + 2)
    others_ND = between(one_MD, 100, np.random.default_rng(1))
    assert others_ND.shape == (100, 6)
    assert np.allclose(np.linalg.norm(others_ND, axis=1), 1, atol=1e-5)
    assert (others_ND @ one_MD.T).max(axis=1).min() > 0.9
