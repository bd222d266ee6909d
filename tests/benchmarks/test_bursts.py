"""Streams of near copies for measuring what bursts do to kinds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bursts
from benchmarks.datasets import DatasetAbsent, datasets_folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bursts, "CACHE", tmp_path / "cache")
    for name, value in {"CLASSES": 3, "STILLS": 2, "AT_ONCE": 7}.items():
        monkeypatch.setattr(bursts, name, value)


def test_a_visit_is_a_track_of_near_copies(capsys: pytest.CaptureFixture[str]) -> None:
    assert bursts.main(["--set", "digits", "--seed", "0", "--visits", "6", "--frames", "4", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (run,) = result["runs"]
    assert (run["visits"], run["classes"]) == (18, 3)
    assert set(result["digits"]) == set(bursts.KEYS)
    innate_ND, class_N, visit_N = bursts.kept("digits", 0, 6, 4)
    assert run["pictures"] == len(visit_N) > 18
    length_V = np.bincount(visit_N)
    assert 1 <= length_V.min() <= length_V.max() <= 4
    unit_ND = innate_ND / np.linalg.norm(innate_ND, axis=1, keepdims=True)
    alike = (unit_ND[1:] * unit_ND[:-1]).sum(axis=1)
    assert np.median(alike[visit_N[1:] == visit_N[:-1]]) > np.median(alike[class_N[1:] != class_N[:-1]])


@pytest.mark.slow
@pytest.mark.skipif(not (datasets_folder() / "video").is_dir(), reason="there are no films under TAXON_DATASETS")
def test_films_lie_among_stills() -> None:
    _, class_N, visit_N = bursts.films(0)
    assert len(set(class_N)) == 5
    assert len(set(visit_N)) == 3 * 2 + 2


def test_without_data_it_says_where_it_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAXON_DATASETS", str(tmp_path))
    with pytest.raises(DatasetAbsent, match="tiny20"):
        bursts.films(0)
