"""What a round's votes were made of survives as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from agent.calibration import stated
from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig
from agent.graph import nearest
from agent.voters import Voters, by_kind, packed, unpacked
from tests.agent.shapes import blobs

CONFIG = ClusterConfig(near_copy=0.95)
OFFSET = 100


@pytest.fixture
def window() -> Embedded:
    points, _ = blobs([60, 50, 40], dims=24, spread=0.5)
    return Embedded(np.arange(len(points)) + OFFSET, points, None)


@pytest.fixture
def fitted(window: Embedded) -> Clusterer:
    model = Clusterer(CONFIG, np.random.default_rng(0))
    model.fit(window.ids_N, window.of, 1)
    return model


def kept(fitted: Clusterer, kind_of: Callable[[int], int] = lambda label: label + 10) -> Voters:
    voters = fitted.voters(kind_of, np.zeros(150, dtype=np.bool_))
    assert voters is not None
    return Voters.of_state(json.loads(json.dumps(voters.state_dict())))


@pytest.mark.parametrize("kind_of", [lambda label: label + 10, lambda label: label // 2 + 10])
def test_the_votes_can_be_counted_again(fitted: Clusterer, window: Embedded, kind_of: Callable[[int], int]) -> None:
    """Naively, from the stored vectors: the clusterer's own votes, also where two labels are one kind."""
    voters = kept(fitted, kind_of)
    newcomers = window.innate_ND[::7] + np.random.default_rng(1).normal(0, 0.05, window.innate_ND[::7].shape)
    between = (window.innate_ND[:40] + window.innate_ND[60:100] + window.innate_ND[110:150]) / 3
    newcomers = np.vstack([newcomers, between])
    kind_M, probability_M = fitted.vote(newcomers, None, kind_of)
    points = voters.space.project(window.innate_ND[voters.row_R], None)
    row_MK, cosine_MK = nearest(points, voters.space.project(newcomers, None), voters.k)
    share_MK = voters.share_RK[row_MK].mean(axis=1)
    sure = kind_M >= 0
    assert sure.any()
    assert voters.kinds_K[share_MK.argmax(axis=1)][sure].tolist() == kind_M[sure].tolist()
    assert stated(share_MK.max(axis=1)[sure]) == pytest.approx(probability_M[sure], abs=1e-3)
    assert (cosine_MK.mean(axis=1)[sure] >= voters.far).all()


def test_each_picture_finds_the_observation_that_stands_for_it(fitted: Clusterer) -> None:
    voters = kept(fitted)
    for row, leader in enumerate(voters.leader_N.tolist()):
        number = voters.observation(row + OFFSET)
        assert number is not None
        assert voters.row_R[number] == leader
    assert voters.observation(OFFSET - 1) is None
    assert voters.observation(10_000) is None


def test_nothing_is_kept_before_the_first_fit() -> None:
    assert Clusterer(CONFIG, np.random.default_rng(0)).voters(int, np.ones(0, dtype=np.bool_)) is None


def test_labels_of_one_kind_share_their_votes_and_those_of_none_have_none() -> None:
    shares = np.array([[0.5, 0.2, 0.3], [0, 0, 1]], dtype=np.float32)
    kinds, by = by_kind(shares, [7, -1, 7].__getitem__)
    assert kinds.tolist() == [7]
    assert by[:, 0] == pytest.approx([0.8, 1])


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.int64).reshape(2, 3), np.empty((0, 4), dtype=np.float32)])
def test_arrays_become_text_and_arrays_again(array: np.ndarray) -> None:
    again = unpacked(json.loads(json.dumps(packed(array))))
    assert again.dtype == array.dtype
    assert np.array_equal(again, array)


@pytest.mark.parametrize("state", [{}, {"learned_mean": None, "innate_mean": "x"}])
def test_what_is_no_such_state_is_told_with_the_remedy(state: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="recluster"):
        Voters.of_state(state)


def test_who_speaks_for_the_kinds_of_people_is_kept_too(window: Embedded) -> None:
    model = Clusterer(CONFIG, np.random.default_rng(0))
    model.fit(window.ids_N, window.of, 1, leaders={int(window.ids_N[0]): 70})
    voices = kept(model).voices
    assert voices is not None
    assert set(voices.of_N.tolist()) == {-1, 10 + int(model.vote(window.innate_ND[:1], None)[0][0])}
    assert voices.voice_N.max() == 2
