"""What people put into a kind of their own leads, and what is like it follows."""

from __future__ import annotations

import numpy as np
import pytest

from agent.clusterer import Clusterer, Embedded, Partition
from agent.config import ClusterConfig
from storage.records import Assignments
from tests.agent.shapes import assigned, blobs

CONFIG = ClusterConfig(near_copy=1.0)
FOX = 70


def fitted(
    points: np.ndarray,
    before: Assignments | None = None,
    leaders: dict[int, int] | None = None,
    config: ClusterConfig = CONFIG,
) -> Partition:
    ids = np.arange(len(points))
    model = Clusterer(config, np.random.default_rng(0))
    return model.fit(ids, Embedded(ids, points, None).of, 1, before=before, leaders=leaders)


def label_of(partition: Partition, leader: int) -> int:
    return int(partition.label_N[leader])


def said(truth: np.ndarray) -> Assignments:
    """The two kinds as they were in the round before."""
    return assigned({i: 1 + int(label) for i, label in enumerate(truth) if label < 2})


@pytest.fixture(scope="module")
def sparse() -> tuple[np.ndarray, np.ndarray]:
    """Two kinds, and six pictures of a third, too few to be found."""
    points, truth = blobs([100, 80, 6], dims=24, spread=0.5)
    order = np.argsort(truth, kind="stable")
    return points[order], truth[order]


def test_without_leaders_nothing_changes(sparse: tuple[np.ndarray, np.ndarray]) -> None:
    plain, none = fitted(sparse[0]), fitted(sparse[0], leaders={5_000: FOX})
    assert np.array_equal(plain.label_N, none.label_N)
    assert plain.alone is None
    assert none.alone is None


def test_few_pictures_gather_those_around_them(sparse: tuple[np.ndarray, np.ndarray]) -> None:
    points, truth = sparse
    third = np.flatnonzero(truth == 2).tolist()
    plain = fitted(points)
    assert plain.label_N.max() == 1
    part = fitted(points, said(truth), leaders=dict.fromkeys(third[:3], FOX))
    fox = label_of(part, third[0])
    assert set(np.flatnonzero(part.label_N == fox).tolist()) == set(third)
    assert part.coarser[fox] is None
    others = truth != 2
    assert np.array_equal(plain.label_N[others], part.label_N[others])


def test_what_would_be_said_without_them_is_kept(sparse: tuple[np.ndarray, np.ndarray]) -> None:
    points, truth = sparse
    leaders = {0: FOX, int(np.flatnonzero(truth == 2)[0]): FOX}
    plain, part = fitted(points, said(truth)), fitted(points, said(truth), leaders)
    assert part.alone is not None
    assert np.array_equal(part.alone.label_N, plain.label_N)
    assert np.array_equal(part.alone.core_N, plain.core_N)
    assert np.allclose(part.alone.probability_N, plain.probability_N)


def test_what_is_new_goes_where_its_neighbours_are_and_what_was_left_stays() -> None:
    """Most of one side of a kind is put elsewhere by a person; of the rest there some were known and some are new."""
    points, truth = blobs([120, 80], dims=6, spread=0.7)
    cloud = np.flatnonzero(truth == 0)
    direction = np.linalg.svd(points[cloud] - points[cloud].mean(axis=0))[2][0]
    along = cloud[np.argsort(points[cloud] @ direction)]
    side, rest = along[-50:], along[:50]
    left, new_here, new_there = side[2::8], side[5::8], rest[::3]
    moved = np.setdiff1d(side, [*left, *new_here])
    known = np.setdiff1d(np.arange(len(points)), [*new_here, *new_there])
    before = assigned({int(i): 1 + int(truth[i]) for i in known})
    part = fitted(points, before, dict.fromkeys(moved.tolist(), FOX))
    fox = label_of(part, int(moved[0]))
    assert (part.label_N[moved] == fox).all()
    assert (part.label_N[left] != fox).all()
    assert (part.label_N[new_here] == fox).mean() > 0.7
    assert (part.label_N[new_there] == fox).mean() < 0.1


def test_a_density_that_is_mostly_the_kind_is_the_kind(sparse: tuple[np.ndarray, np.ndarray]) -> None:
    """Some were put there, some had followed, the rest is new: all of it belongs there, and stays core."""
    points, truth = sparse
    second = np.flatnonzero(truth == 1)
    known = {int(i): 1 for i in np.flatnonzero(truth == 0)} | {int(i): FOX for i in second[:30]}
    part = fitted(points, assigned(known), {int(second[0]): FOX})
    fox = label_of(part, int(second[0]))
    assert (part.label_N[second] == fox).all()
    assert part.core_N[second].mean() > 0.5
    assert set(part.coarser) == {0, 1}


def test_two_kinds_of_people_in_one_density() -> None:
    """Both take what lies nearest to them, and nothing is lost."""
    points, truth = blobs([100, 100], dims=24, spread=0.5)
    first = np.flatnonzero(truth == 0)
    part = fitted(points, leaders={int(first[0]): FOX, int(first[1]): FOX + 1})
    assert label_of(part, int(first[0])) != label_of(part, int(first[1]))
    assert (part.label_N >= 0).all()


@pytest.mark.parametrize("follows", [FOX, FOX + 1, FOX + 2])
def test_near_copies_that_people_put_into_three_kinds_are_one_observation(
    sparse: tuple[np.ndarray, np.ndarray], follows: int
) -> None:
    """It can lead one of the kinds alone; what had followed any of them is placed all the same."""
    points, truth = sparse[0].copy(), sparse[1]
    third = np.flatnonzero(truth == 2)
    points[third[:3]] = points[third[0]]
    leaders = {int(picture): FOX + 2 - number for number, picture in enumerate(third[:3])}
    known = {i: 1 + int(label) for i, label in enumerate(truth) if label < 2} | {int(third[4]): follows}
    part = fitted(points, assigned(known), leaders, CONFIG.model_copy(update={"near_copy": 0.99}))
    labels = {label_of(part, picture) for picture in leaders}
    assert len(labels) == 1
    assert labels.isdisjoint(part.label_N[truth < 2])
