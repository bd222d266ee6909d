"""A window that is kept between rounds: only what changes is read, and the kinds are those of a window made at once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from agent import observed
from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig
from agent.observed import Observed
from tests.agent.shapes import blobs

CONFIG = ClusterConfig()


class Archive:
    """Vectors by id, and which were asked for."""

    def __init__(self, points: NDArray[np.floating]) -> None:
        self.embedded = Embedded(np.arange(len(points)), points, None)
        self.asked: list[int] = []

    def read(self, ids: NDArray[np.int64]) -> Embedded:
        self.asked = sorted(ids.tolist())
        return self.embedded.of(ids)


@pytest.fixture(autouse=True)
def small_windows_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observed, "SPACE_ROWS", 100)


@pytest.fixture
def archive() -> Archive:
    points, _ = blobs([200, 180, 160], dims=24, spread=0.5)
    return Archive(np.random.default_rng(0).permutation(points))


def clusterer() -> Clusterer:
    return Clusterer(CONFIG, np.random.default_rng(0))


def test_only_newcomers_are_read(archive: Archive):
    model = clusterer()
    model.fit(np.arange(300), archive.read, 1)
    assert archive.asked == list(range(300))
    part = model.fit(np.arange(50, 400), archive.read, 1)
    assert archive.asked == list(range(300, 400))
    assert part.ids_N.tolist() == list(range(50, 400))


def test_a_grown_window_has_the_kinds_of_one_made_at_once(archive: Archive):
    model = clusterer()
    for start in range(0, 160, 40):
        part = model.fit(np.arange(start, start + 380), archive.read, 1)
    assert archive.asked == list(range(460, 500))
    anew = clusterer()
    anew.load_state_dict(model.state_dict())
    assert adjusted_rand_score(anew.fit(np.arange(120, 500), archive.read, 1).label_N, part.label_N) > 0.99


@pytest.mark.parametrize(
    ("ids", "version"),
    [(np.arange(0, 300), 2), (np.arange(200, 500), 1), (np.arange(0, 90), 1)],
    ids=["another version", "more than half came later", "few enough to be made anew"],
)
def test_all_is_made_anew_when_it_must_be(archive: Archive, ids: NDArray[np.int64], version: int):
    model = clusterer()
    model.fit(np.arange(250), archive.read, 1)
    model.fit(ids, archive.read, version)
    assert archive.asked == ids.tolist()


def test_pictures_without_vectors_are_not_in_the_window(archive: Archive):
    archive.embedded = archive.embedded.of(np.setdiff1d(np.arange(540), [7, 310]))
    model = clusterer()
    assert 7 not in model.fit(np.arange(300), archive.read, 1).ids_N
    assert model.fit(np.arange(350), archive.read, 1).ids_N.tolist() == [i for i in range(350) if i not in (7, 310)]


def test_nan_changes_nothing(archive: Archive):
    window = Observed(archive.embedded.of(np.arange(300)), 1, CONFIG, np.random.default_rng(0))
    archive.embedded.innate_ND[320] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        window.become(np.arange(50, 350), archive.read)
    assert window.ids_N.tolist() == list(range(300))
    assert len(window.points_ND) == 300


def test_a_window_of_none_is_no_window(archive: Archive):
    model = clusterer()
    model.fit(np.arange(300), archive.read, 1)
    archive.embedded = archive.embedded.of(np.arange(0))
    assert len(model.fit(np.arange(300), archive.read, 2).ids_N) == 0
