from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.aims import ABROAD, AIMS, DIGITS, SCRATCH, SMALL, Aim, Band, aims, verdict
from benchmarks.stored import read
from tests.benchmarks.test_report import result


def keep(results: Path, stream: str, arm: str, seed: int, knn: float, **final: object) -> None:
    told = result(knn, seed)
    told["final"] |= final
    path = results / stream / f"{arm}-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def line(table: str, says: str, stream: str = "") -> list[str]:
    """Cells of the line of an aim, from its floor on."""
    (found,) = [one for one in table.splitlines() if f"| {says} | {stream}" in one]
    return [cell.strip() for cell in found.split("|")[3:-1]]


@pytest.mark.parametrize(
    ("values", "said"),
    [([2.0, 3.0], "the aim"), ([1.0, 2.0], "above the floor"), ([0.0], "**below the floor**"), ([], "not measured")],
)
def test_a_verdict_is_by_the_mean_over_seeds(values: list[float], said: str) -> None:
    assert verdict(Aim("", "", Band(1), Band(2), lambda _: [], 1), values) == said


def test_a_band_may_have_both_ends() -> None:
    assert Band(10, 12).misses(11) < 0 < Band(10, 12).misses(13)
    assert [band.told() for band in (Band(10, 12), Band(0.85), Band(high=3))] == [
        "10 to 12",
        "at least 0.85",
        "at most 3",
    ]


def test_gains_are_over_the_born_network_of_the_same_seed(tmp_path: Path) -> None:
    for seed, (born, learned) in enumerate([(0.5, 0.58), (0.6, 0.61)]):
        keep(tmp_path, ABROAD, "frozen", seed, born)
        keep(tmp_path, ABROAD, "default", seed, learned)
    keep(tmp_path, ABROAD, "default", 2, 0.9)
    told = line(aims(tmp_path), "20-NN, gain over birth", ABROAD)
    assert told == ["at least 1", "at least 5", "2", "4.5 ± 3.5", "1.0", "above the floor"]


def test_ratios_are_taken_seed_by_seed(tmp_path: Path) -> None:
    keep(tmp_path, SCRATCH, "default", 0, 0.45)
    keep(tmp_path, SCRATCH, "iid", 0, 0.50)
    keep(tmp_path, SMALL, "replay+align", 0, 0.5, drift_old_per_1000=0.04)
    keep(tmp_path, SMALL, "default", 0, 0.5, drift_old_per_1000=0.01)
    table = aims(tmp_path)
    assert line(table, "20-NN over that of the same pictures mixed")[2:] == [
        "1",
        "0.900",
        "0.900",
        "**below the floor**",
    ]
    assert line(table, "drift on old classes that EWC cuts, percent")[3:] == ["75", "75", "the aim"]


def test_the_stream_that_was_forgotten_most_is_named(tmp_path: Path) -> None:
    keep(tmp_path, DIGITS, "default", 0, 0.5, forgetting=0.02)
    keep(tmp_path, ABROAD, "default", 0, 0.5, forgetting=0.01)
    (found,) = [one for one in aims(tmp_path).splitlines() if "forgetting" in one]
    assert f"| {DIGITS} | at most 3 | at most 0 | 1 | 2.0 | 2.0 | above the floor |" in found


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    assert aims(tmp_path).count("not measured") == len(AIMS) + 1
    with pytest.raises(FileNotFoundError):
        read(tmp_path / DIGITS)
