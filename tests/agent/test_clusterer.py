"""The clusterer as its users see it: kinds found, edge cases, votes, memory."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from agent.clusterer import Clusterer, Embedded, Partition
from agent.config import ClusterConfig
from tests.agent.shapes import blobs

CONFIG = ClusterConfig()


def clusterer(seed: int = 0, **changes: object) -> Clusterer:
    return Clusterer(CONFIG.model_copy(update=changes), np.random.default_rng(seed))


def fit_with(model: Clusterer, points: np.ndarray, learned: np.ndarray | None = None, version: int = 1) -> Partition:
    ids = np.arange(len(points))
    return model.fit(ids, Embedded(ids, points, learned).of, version)


def fit(points: np.ndarray, seed: int = 0, **changes: object) -> Partition:
    return fit_with(clusterer(seed, **changes), points)


@pytest.fixture(scope="module")
def crowd() -> tuple[np.ndarray, np.ndarray]:
    return blobs([150, 120, 90, 60], dims=24, spread=0.5)


@pytest.mark.parametrize("kinds", [2, 4, 9])
def test_finds_the_kinds_without_being_told_how_many(kinds: int):
    points, truth = blobs([80 + 10 * i for i in range(kinds)], dims=32, spread=0.5, seed=kinds)
    part = fit(points)
    assert part.label_N.max() + 1 == kinds
    assert normalized_mutual_info_score(truth, part.label_N) > 0.95


@pytest.mark.parametrize("size", [30, 200, 600])
def test_one_cloud_is_one_kind(size: int):
    part = fit(blobs([size], dims=32, spread=0.8)[0])
    assert set(part.label_N.tolist()) == {0}
    assert part.parameters["single"] is True
    assert part.coarser == {0: None}


@pytest.mark.parametrize("learned", [False, True])
def test_what_is_foreign_belongs_nowhere_even_where_there_is_one_kind(learned: bool):
    points, truth = blobs([200], dims=32, spread=0.8, noise=10)
    model = clusterer()
    part = fit_with(model, points, points if learned else None, 2)
    assert part.parameters["single"] is True
    foreign_N = truth < 0
    assert (part.label_N[foreign_N] == -1).all()
    assert not part.core_N[foreign_N].any()
    assert (part.label_N[~foreign_N] == 0).mean() > 0.99
    label, probability = model.vote(points, points if learned else None)
    assert np.array_equal(label, part.label_N)
    assert (probability[foreign_N] == 0).all()


def test_what_is_foreign_to_one_kind_can_be_put_into_it_or_another_by_people():
    points, truth = blobs([200], dims=32, spread=0.8, noise=10)
    ids = np.arange(len(points))
    one, two, *others = np.flatnonzero(truth < 0).tolist()
    part = clusterer().fit(ids, Embedded(ids, points, None).of, 1, leaders={one: 7, two: 7})
    assert part.label_N[one] == part.label_N[two] >= 0
    assert part.label_N[one] != np.median(part.label_N[truth == 0])
    assert part.alone is not None
    assert (part.alone.label_N[truth < 0] == -1).all()
    assert (part.label_N[others] != np.median(part.label_N[truth == 0])).all()


def test_learned_half_counts(crowd: tuple[np.ndarray, np.ndarray]):
    """An innate half that tells nothing is made good by a learned half that does."""
    points, truth = crowd
    blind = np.random.default_rng(1).normal(size=points.shape).astype(np.float16)
    part = fit_with(clusterer(), blind, points.astype(np.float16), 2)
    assert normalized_mutual_info_score(truth, part.label_N) > 0.8


def test_order_of_pictures_does_not_matter(crowd: tuple[np.ndarray, np.ndarray]):
    points, _ = crowd
    ids = np.arange(len(points)) * 3 + 7
    shuffle = np.random.default_rng(5).permutation(len(points))
    part = clusterer().fit(ids, Embedded(ids, points, None).of, 1)
    other = clusterer().fit(ids[shuffle], Embedded(ids[shuffle], points[shuffle], None).of, 1)
    assert np.array_equal(part.ids_N, ids)
    assert np.array_equal(other.ids_N, ids)
    assert np.array_equal(part.label_N, other.label_N)
    assert np.array_equal(part.neighbour_NK, other.neighbour_NK)
    assert part.exemplars == other.exemplars


def test_same_seed_same_partition(crowd: tuple[np.ndarray, np.ndarray]):
    points, _ = crowd
    one, two = fit(points, seed=3), fit(points, seed=3)
    assert np.array_equal(one.label_N, two.label_N)
    assert np.array_equal(one.probability_N, two.probability_N)
    assert one.statistics == two.statistics
    assert one.parameters == two.parameters


def test_partition_is_consistent(crowd: tuple[np.ndarray, np.ndarray]):
    part = fit(crowd[0])
    assert part.label_N.dtype == np.int64
    assert part.probability_N.dtype == np.float32
    assert ((part.probability_N >= 0) & (part.probability_N <= 1)).all()
    assert (part.probability_N[part.core_N] == 1).all()
    assert (part.probability_N[part.label_N < 0] == 0).all()
    for kind, exemplars in part.exemplars.items():
        assert 1 <= len(exemplars) == len(set(exemplars)) <= CONFIG.exemplars
        assert (part.label_N[list(exemplars)] == kind).all()
        assert part.core_N[list(exemplars)].all()
        assert part.statistics[kind]["size"] == (part.label_N == kind).sum()
    json.dumps(part.parameters)


# -------------------------------------------------------------------- edge cases


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_pictures_than_a_kind_needs(count: int):
    part = fit(blobs([count], dims=8)[0])
    assert part.label_N.tolist() == [-1] * count
    assert part.exemplars == {}


@pytest.mark.parametrize("count", [10, 11, 20])
def test_tiny_windows_are_one_kind(count: int):
    assert set(fit(blobs([count], dims=8)[0]).label_N.tolist()) == {0}


def test_all_identical():
    part = fit(np.ones((64, 16), dtype=np.float16))
    assert set(part.label_N.tolist()) == {0}
    assert part.exemplars == {0: (0,)}


def test_duplicates_are_labelled_like_their_originals(crowd: tuple[np.ndarray, np.ndarray]):
    points, truth = crowd
    part = fit(np.repeat(points, 3, axis=0))
    label_NC = part.label_N.reshape(-1, 3)
    assert (label_NC == label_NC[:, :1]).all()
    assert adjusted_rand_score(truth, label_NC[:, 0]) > 0.9


def test_float16_is_enough(crowd: tuple[np.ndarray, np.ndarray]):
    points, _ = crowd
    assert adjusted_rand_score(fit(points).label_N, fit(points.astype(np.float16)).label_N) > 0.98


def test_nan_is_refused(crowd: tuple[np.ndarray, np.ndarray]):
    points = crowd[0].copy()
    points[5, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        fit(points)
    with pytest.raises(ValueError, match="not finite"):
        clusterer().vote(points, None)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="length"):
        Embedded(np.arange(3), np.ones((4, 2)), None)


# -------------------------------------------------------------------- votes and memory


def test_votes_agree_with_the_kinds(crowd: tuple[np.ndarray, np.ndarray]):
    points, truth = crowd
    model = clusterer()
    part = fit_with(model, points)
    fresh = (points + 0.02 * np.random.default_rng(9).normal(size=points.shape)).astype(np.float32)
    label, probability = model.vote(fresh, None)
    assert (label == part.label_N).mean() > 0.97
    assert probability.dtype == np.float32
    assert len(set(truth)) == len(set(label.tolist()) - {-1})


def test_a_stranger_gets_no_vote(crowd: tuple[np.ndarray, np.ndarray]):
    points, truth = crowd
    model = clusterer()
    known = points[truth < 3]
    fit_with(model, known)
    assert (model.vote(points[truth == 3], None)[0] == -1).mean() > 0.9


def test_no_votes_before_a_fit():
    label, probability = clusterer().vote(np.ones((2, 4)), None)
    assert label.tolist() == [-1, -1]
    assert probability.tolist() == [0, 0]


def test_the_grid_is_run_at_birth_on_doubling_and_on_a_new_version(crowd: tuple[np.ndarray, np.ndarray]):
    points, _ = crowd
    model = clusterer()

    def chose(count: int, version: int) -> bool:
        learned = points[:count] if version > 1 else None
        return "scores" in fit_with(model, points[:count], learned, version).parameters

    assert [chose(200, 1), chose(210, 1), chose(399, 1), chose(400, 1), chose(401, 2), chose(401, 2)] == [
        True, False, False, True, True, False,
    ]  # fmt: skip


def test_a_restart_goes_on(crowd: tuple[np.ndarray, np.ndarray]):
    points, _ = crowd
    model = clusterer()
    before = fit_with(model, points)
    again = clusterer()
    again.load_state_dict(json.loads(json.dumps(model.state_dict())))
    after = fit_with(again, points)
    assert "scores" not in after.parameters
    assert np.array_equal(before.label_N, after.label_N)


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match="not a state"):
        clusterer().load_state_dict({"setting": None})


def test_there_is_a_valley_between_kinds_and_none_within_one(crowd: tuple[np.ndarray, np.ndarray]):
    x_ND, label_N = crowd
    model, even_N = clusterer(), np.arange(len(x_ND)) % 2 == 0
    one_N, other_N = label_N == 0, label_N == 1
    assert model.valley(one_N, other_N) == 0, "nothing is known before the first fit"
    fit_with(model, x_ND)
    assert model.valley(one_N, other_N) < 0.1
    assert model.valley(one_N & even_N, one_N & ~even_N) > 0.8
    assert model.valley(one_N, np.arange(len(x_ND)) < 1) == 0, "one picture is too few to say"
