from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report


def result(knn: float, seed: int = 0) -> dict[str, Any]:
    learned = {"knn_side": knn, "knn_alone": knn, "probe_side": 0.5}
    return {
        "seed": seed,
        "stages": [{"arrived": 100, "knn": knn / 2}, {"arrived": 200, "knn": knn}],
        "final": {
            "representations": {"learned": learned},
            "kinds": {"nmi": 0.5, "ari": 0.4, "accuracy": 0.45, "kinds": 10},
            "forgetting": 0.01,
            "drift_old_per_1000": 0.02,
            "ids_kept": None,
            "delay": {"median": None},
        },
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "default" / "toy"
    folder.mkdir(parents=True)
    for name, knn in (("frozen-0", 0.5), ("default-0", 0.7), ("default-1", 0.8)):
        (folder / f"{name}.json").write_text(json.dumps(result(knn, seed=int(name[-1]))))
    return tmp_path / "results"


def test_the_table_between_the_marks_is_written_anew_and_the_rest_stays(results: Path, tmp_path: Path) -> None:
    document = tmp_path / "learning.md"
    document.write_text("before\n<!-- arms default/toy -->\nstale\n<!-- end -->\nafter\n")
    for _ in range(2):
        assert report.main(["--results", str(results), "--document", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("before\n<!-- arms default/toy -->\n| arm | seeds | 20-NN |")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "stale" not in text
    assert "| default | 2 | 75.0 ± 5.0 |" in text
    assert "| frozen | 1 | 50.0 |" in text
    assert text.index("frozen") < text.index("| default |")
    assert (results / "default-toy.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_without_results_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    document = tmp_path / "learning.md"
    document.write_text("<!-- arms default/nothing -->\n<!-- end -->\n")
    with pytest.raises(FileNotFoundError, match="default/nothing"):
        report.main(["--results", str(tmp_path), "--document", str(document)])


def test_gains_are_told_seed_by_seed(results: Path, tmp_path: Path) -> None:
    document = tmp_path / "learning.md"
    document.write_text("<!-- gains default -->\n<!-- end -->\n")
    (results / "default" / "toy" / "frozen-1.json").write_text(json.dumps(result(0.7, seed=1)))
    (results / "default" / "only-born").mkdir()
    (results / "default" / "only-born" / "frozen-0.json").write_text(json.dumps(result(0.7)))
    assert report.main(["--results", str(results), "--document", str(document)]) == 0
    lines = document.read_text().splitlines()
    assert lines[1].startswith("| stream | seeds | 20-NN | gain | linear | gain | NMI | gain |")
    assert lines[3].startswith("| toy | 2 | 75.0 ± 5.0 | 15.0 ± 5.0 | 50.0 ± 0.0 | 0.0 ± 0.0 |")
    assert lines[4] == "<!-- end -->"
