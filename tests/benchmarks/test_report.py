from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.plots import nmi_points


def result(knn: float, seed: int = 0) -> dict[str, Any]:
    learned = {"knn_side": knn, "knn_alone": knn, "probe_side": 0.5}
    return {
        "seed": seed,
        "views": 18_000,
        "seconds": 5400.0,
        "learning_s": 3600.0,
        "stages": [{"arrived": 100, "knn": knn / 2}, {"arrived": 200, "knn": knn}],
        "final": {
            "representations": {"learned": learned},
            "kinds": {"nmi": 0.5, "ari": 0.4, "accuracy": 0.45, "kinds": 10},
            "forgetting": 0.01,
            "drift_old_per_1000": 0.02,
            "ids_kept": None,
            "effective_rank": 12.0,
            "delay": {"median": 40.0, "discovered": 1 + seed, "classes": 10},
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
    assert text.startswith("before\n<!-- arms default/toy -->\n| arm | seeds | views | 20-NN |")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "stale" not in text
    assert "| default | 2 | 18,000 | 75.0 ± 5.0 |" in text
    assert "| 40 ± 0 (1.5 of 10) |" in text
    assert "| frozen | 1 | 18,000 | 50.0 |" in text
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


def test_the_worst_stream_of_each_arm_is_named(results: Path, tmp_path: Path) -> None:
    other = results / "default" / "other"
    other.mkdir()
    for name, knn in (("frozen-0", 0.6), ("default-0", 0.59), ("default-classes1-0", 0.62)):
        (other / f"{name}.json").write_text(json.dumps(result(knn)))
    document = tmp_path / "learning.md"
    document.write_text("<!-- worst default -->\n<!-- end -->\n")
    assert report.main(["--results", str(results), "--document", str(document)]) == 0
    _, _, _, *rows, _ = document.read_text().splitlines()
    assert [row[: row.index(", ") if ", " in row else None].split("|")[1:6] for row in rows] == [
        [" default ", " 2 ", " -1.0 ", " other ", " +9.5 "],
        [" default-classes1 ", " 1 ", " +2.0 ", " other ", " +2.0 "],
    ]
    assert {path.name for path in results.glob("*.png")} == {"default-toy.png", "default-other.png"}


def test_hours_are_those_of_all_tracks(results: Path, tmp_path: Path) -> None:
    (results / "scratch" / "toy").mkdir(parents=True)
    (results / "scratch" / "toy" / "iid-0.json").write_text(json.dumps(result(0.5)))
    document = tmp_path / "learning.md"
    document.write_text("<!-- hours . -->\n<!-- end -->\n")
    assert report.main(["--results", str(results), "--document", str(document)]) == 0
    assert document.read_text().splitlines()[1] == "4 runs, 6.0 machine hours, 4.0 of them learning."


def test_the_kinds_of_older_results_are_known_at_the_end_alone() -> None:
    older, newer = result(0.5), result(0.5)
    for i, stage in enumerate(newer["stages"]):
        stage["kinds"] = {"nmi": i / 4}
    assert nmi_points(older) == [(200, 0.5)]
    assert nmi_points(newer) == [(100, 0.0), (200, 0.25)]


def test_a_study_is_written_and_one_that_was_not_made_is_said(results: Path, tmp_path: Path) -> None:
    document = tmp_path / "learning.md"
    document.write_text("<!-- study cpu -->\n<!-- end -->\n")
    arguments = ["--results", str(results), "--learning", str(tmp_path), "--document", str(document)]
    assert report.main(arguments) == 0
    assert "Not measured yet" in document.read_text()
    study = [
        {"variant": "image_px 64", "steps_per_s": 1.5, "times_as_fast": 2.0},
        {"variant": "compiled", "steps_per_s": None, "times_as_fast": None},
    ]
    told = {"study": study, "steps": 12, "made_with": {"device": "cpu", "threads": 2}}
    (tmp_path / "cpu.json").write_text(json.dumps(told))
    assert report.main(arguments) == 0
    text = document.read_text()
    assert "| image_px 64 | 1.50 | 2.00 |\n| compiled | failed | failed |\n" in text
    assert "12 steps of each" in text
