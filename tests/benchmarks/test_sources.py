"""The figures of how pictures come in, small: each is of the real command or the camera's own decoder."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks.sources import draw_film, frames_per_s, main, measure, pretend_stored, tiny, write_tiny
from storage.engine import database_url, open_engine
from storage.queries import Queries


def test_a_film_is_decoded_and_counted(tmp_path: Path) -> None:
    assert frames_per_s(draw_film(tmp_path / "film.mp4", seconds=1), 0.1) > 10


def test_what_is_pretended_to_be_stored_is_known_to_a_scan(tmp_path: Path) -> None:
    folder, data = tmp_path / "pictures", tmp_path / "data"
    for path in (folder, data):
        path.mkdir()
    write_tiny(folder, range(995, 1_005))
    assert len({tiny(number) for number in range(100)}) == 100
    pretend_stored(folder, data)
    engine = open_engine(database_url(data), read_only=True)
    paths = sorted(folder.rglob("*.ppm"))
    found = Queries(engine).known([str(path) for path in paths])
    engine.dispose()
    assert found == {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}
    assert len(found) == 10


@pytest.mark.slow
def test_all_figures_of_a_small_run(tmp_path: Path) -> None:
    sizes = argparse.Namespace(files=20, stopped=100, idle=100, idle_s=3, frames_s=0.1, outages=1, pushed=20)
    found = measure(tmp_path, sizes)
    assert list(found) == [
        "files_per_s", "events_lost", "idle_cpu_percent", "frames_per_s", "recover_s",
        "push_per_s", "push_of_4_per_s", "push_refused", "push_lost",
    ]  # fmt: skip
    lost = [name for name in found if name.endswith("_lost")]
    assert [found[name] for name in lost] == [0, 0]
    assert all(found[name] > 0 for name in found if name not in lost)


def test_what_is_left_out_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = [
        "--files",
        "0",
        "--stopped",
        "0",
        "--idle",
        "0",
        "--frames-s",
        "0",
        "--outages",
        "0",
        "--pushed",
        "0",
        "--json",
    ]
    assert main(nothing) == 0
    assert capsys.readouterr().out == "{}\n"
