"""A window that grew and shrank has the kinds of the same window made at once, as long as it keeps its space."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agent.observed as observed
from agent.clusterer import Clusterer, Embedded, Partition
from agent.config import ClusterConfig
from tests.agent.shapes import blobs

CONFIG = ClusterConfig(k=(8,), diffusion=(2,), selection=("eom",), min_cluster_size=(0.6,), min_size=5)
COUNT, BORN = 90, 60
POINTS, _ = blobs([35, 30, 25], dims=12, spread=0.6, seed=3)
ARCHIVE = Embedded(np.arange(COUNT), np.vstack([POINTS[:-6], POINTS[:6] + 1e-3]).astype(np.float16), None)
"""With a few near copies, so that bursts are made and come apart."""


@pytest.fixture(autouse=True, scope="module")
def small_windows_keep_their_space() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(observed, "SPACE_ROWS", 20)
    yield
    patch.undo()


class Grown:
    """A clusterer that was born with the first BORN pictures, whose space it keeps."""

    def __init__(self) -> None:
        self._clusterer = Clusterer(CONFIG, np.random.default_rng(0))
        self.fit(range(BORN))
        self._space = self._space_now()

    def fit(self, inside: Iterable[int]) -> Partition:
        return self._clusterer.fit(np.array(sorted(inside), dtype=np.int64), ARCHIVE.of, 1, examine=False)

    def keeps_its_space(self) -> bool:
        return self._space_now() is self._space

    def _space_now(self) -> object:
        window = self._clusterer.observed
        assert window is not None
        return window.space


def assert_same(one: Partition, other: Partition) -> None:
    assert np.array_equal(one.ids_N, other.ids_N)
    assert np.array_equal(one.label_N, other.label_N)
    assert np.array_equal(one.core_N, other.core_N)
    assert np.allclose(one.probability_N, other.probability_N, atol=1e-5)


WINDOWS = st.lists(st.sets(st.integers(0, COUNT - 1), min_size=70, max_size=85), min_size=1, max_size=4)


@given(windows=WINDOWS)
@settings(max_examples=12, deadline=None)
def test_whatever_came_and_went_the_kinds_are_those_of_who_is_there(windows: list[set[int]]) -> None:
    grown, straight = Grown(), Grown()
    for window in windows:
        last = grown.fit(window)
    assert_same(last, straight.fit(windows[-1]))
    assert grown.keeps_its_space()
    assert straight.keeps_its_space()


@given(late=st.permutations(range(BORN, COUNT)), cut=st.integers(1, COUNT - BORN - 1))
@settings(max_examples=8, deadline=None)
def test_any_order_of_arrival_gives_the_same_kinds(late: list[int], cut: int) -> None:
    grown, straight = Grown(), Grown()
    grown.fit([*range(BORN), *late[:cut]])
    assert_same(grown.fit(range(COUNT)), straight.fit(range(COUNT)))
    assert grown.keeps_its_space()


@given(extra=st.sets(st.integers(BORN, COUNT - 1), min_size=1))
@settings(max_examples=8, deadline=None)
def test_removal_undoes_insertion(extra: set[int]) -> None:
    grown = Grown()
    before = grown.fit(range(BORN))
    grown.fit([*range(BORN), *extra])
    assert_same(grown.fit(range(BORN)), before)
    assert grown.keeps_its_space()


def test_a_grown_window_may_shrink_to_one_picture_and_to_none() -> None:
    grown = Grown()
    assert grown.fit([3]).label_N.tolist() == [-1]
    assert grown.fit([]).label_N.tolist() == []
    assert len(set(grown.fit(range(BORN)).label_N.tolist()) - {-1}) == 3


def test_what_is_refused_leaves_a_grown_window_as_it_was() -> None:
    grown = Grown()
    before = grown.fit(range(BORN))
    bad = ARCHIVE.innate_ND.copy()
    bad[BORN] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        grown._clusterer.fit(np.arange(BORN + 1), Embedded(ARCHIVE.ids_N, bad, None).of, 1)
    assert_same(grown.fit(range(BORN)), before)
    assert grown.keeps_its_space()


def test_copies_that_come_to_a_window_of_copies_are_one_observation() -> None:
    copies = Embedded(np.arange(60), np.ones((60, 8), dtype=np.float16), None)
    clusterer = Clusterer(CONFIG, np.random.default_rng(0))
    clusterer.fit(np.arange(40), copies.of, 1, examine=False)
    part = clusterer.fit(np.arange(60), copies.of, 1, examine=False)
    assert set(part.label_N.tolist()) == {0}
    assert part.statistics[0]["observations"] == 1
    assert json.dumps(part.parameters)
