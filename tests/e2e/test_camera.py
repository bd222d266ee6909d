"""Cameras as their users meet them: films and streams through the real command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Taxon
from tests.films import write_film

OFF = ("--set", "learner.views_per_picture=0")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", seconds=12)


def test_a_film_is_read_to_its_end_and_twice_is_once(taxon: Taxon, film: Path) -> None:
    taxon.call("run", "--once", "--camera", f"clip={film}", *OFF)
    rows = taxon.export()
    (source,) = taxon.json("status")["sources"]
    assert source["counts"]["decoded"] == 120
    assert source["counts"]["looked"] == 12
    assert len(rows) == source["counts"]["kept"] >= 10
    times = [row["captured_at"] for row in rows]
    assert times == sorted(set(times))
    for row in rows:
        path = Path(row["uri"])
        assert path.is_relative_to(taxon.data / "frames" / "clip")
        assert path.is_file()
        assert (row["source"], row["status"] in ("clustered", "unassigned")) == ("clip", True)
    taxon.call("run", "--once", "--camera", f"clip={film}", *OFF)
    assert taxon.export() == rows
    assert taxon.json("status")["clustering_id"] == 1


@pytest.mark.slow
def test_what_is_no_film_is_a_recorded_fact_and_stops_nobody(taxon: Taxon, film: Path) -> None:
    broken = film.with_name("broken.mp4")
    broken.write_bytes(os.urandom(50_000))
    cameras = ("--camera", f"broken={broken}", "--camera", f"clip={film}")
    taxon.call("run", "--once", *cameras, *OFF, "--set", "camera.backoff_max_s=1")
    rejected = [row for row in taxon.export() if row["status"] == "rejected"]
    assert [row["uri"] for row in rejected] == [str(broken)]
    assert taxon.json("status")["pictures"] >= 10
    (event,) = taxon.json("history", "--type", "source_offline")
    assert event["detail"]["source"] == "broken"


def test_what_can_never_work_is_one_clear_line(taxon: Taxon, film: Path) -> None:
    for camera, code, said in (
        ("clip=/nowhere.mp4", 4, "/nowhere.mp4: no such file"),
        ("front=rtsp://me:secret@127.0.0.1:9/1", 2, "never ends"),
        ("rtsp://me:secret@127.0.0.1:9/1", 2, "NAME=URL"),
        ("front=rtsp://me:${NO_SUCH_VARIABLE}@cam", 2, "NO_SUCH_VARIABLE"),
    ):
        done = taxon.call("run", "--once", "--camera", camera, check=False)
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr
