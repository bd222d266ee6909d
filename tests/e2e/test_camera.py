"""Cameras as their users meet them: films and streams through the real command."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.cameras import DATASETS, RtspServer, Server, jpegs, mjpeg, why_no_rtsp
from tests.e2e.conftest import Taxon
from tests.films import write_film
from tests.pictures import jpeg

FILM = DATASETS / "video" / "car-detection.mp4"
OFF = ("--set", "learner.views_per_picture=0")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4", seconds=12)


@pytest.mark.slow
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

    before = taxon.data
    taxon.data = before.rename(before.with_name("moved"))
    taxon.call("run", "--once", "--camera", f"clip={film}", *OFF)
    moved = taxon.export()
    assert [row["uri"] for row in moved] == [row["uri"].replace(str(before), str(taxon.data)) for row in rows]
    assert all(Path(row["uri"]).is_file() for row in moved)


def test_a_live_camera_beside_a_folder_goes_away_comes_back_and_tells_no_secret(taxon: Taxon) -> None:
    away = threading.Event()
    show = mjpeg(jpegs(60), fps=15, unless=away)
    for seed in range(10):
        (taxon.folder / f"{seed}.jpg").write_bytes(jpeg("disc", seed))
    with Server(show) as server:
        url = f"http://viewer:s3cr3t@{server.host}/video?token=t0k3n"
        settings = ("camera.fps=5", "camera.backoff_max_s=1", "camera.gates.per_minute=0", "camera.kept.free_mb=0")
        process = taxon.start(*settings, camera=f"front={url}")
        taxon.wait_for(lambda: counted(taxon, "front").get("kept", 0) >= 5)
        away.set()
        taxon.wait_for(lambda: bool(taxon.json("history", "--type", "source_offline")))
        arguments = [Path(f"/proc/{one.pid}/cmdline") for one in family(process.pid)]
        shown = b"".join(path.read_bytes() for path in arguments if path.exists())
        away.clear()
        taxon.wait_for(lambda: bool(taxon.json("history", "--type", "source_online")))
        before = counted(taxon, "front")["kept"]
        taxon.wait_for(lambda: counted(taxon, "front")["kept"] > before)
        assert taxon.stop(process) == 0
    rows = taxon.export()
    uris = [row["uri"] for row in rows]
    assert len(uris) == len(set(uris))
    assert sum(row["source"] == str(taxon.folder) for row in rows) == 10
    written = b"".join(path.read_bytes() for path in taxon.data.rglob("*") if path.is_file())
    for text in (written, taxon.log.read_bytes(), shown, taxon.call("status", "--json").stdout.encode()):
        assert b"s3cr3t" not in text
        assert b"t0k3n" not in text
    assert b"--camera" in shown


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # it is started again and again, which takes its time where other work goes on
def test_kills_lose_and_repeat_nothing_that_a_camera_kept(taxon: Taxon) -> None:
    kept = taxon.data / "frames" / "front"
    with Server(mjpeg(jpegs(200), fps=20)) as server:
        settings = ("camera.fps=10", "camera.gates.per_minute=0", "camera.gates.near_bits=0", "camera.kept.free_mb=0")
        for _ in range(4):
            process = taxon.start(*settings, camera=f"front=http://{server.host}/video")
            before = taxon.stored()
            taxon.wait_for(lambda before=before: taxon.stored() > before + 5)  # type: ignore[misc]
            process.kill()
            process.wait()
        process = taxon.start(*settings, camera=f"front=http://{server.host}/video")
        before = taxon.stored()
        taxon.wait_for(lambda: taxon.stored() > before + 5)
        assert taxon.stop(process) == 0
    film = write_film(taxon.folder.parent / "front.mp4", seconds=1)
    taxon.call("run", "--once", "--camera", f"front={film}", *OFF)  # what the last stop cut off is stored, too
    uris = [row["uri"] for row in taxon.export()]
    assert len(uris) == len(set(uris))
    assert set(uris) == {str(path) for path in kept.rglob("*.jpg")}
    assert not list(kept.rglob("*.part"))


def counted(taxon: Taxon, name: str) -> dict[str, int]:
    if not (taxon.data / "taxon.db").exists():
        return {}
    sources = taxon.json("status")["sources"]
    return next((source["counts"] for source in sources if source["name"] == name), {})


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def learner_steps(taxon: Taxon) -> int:
    with closing(sqlite3.connect(taxon.data / "taxon.db")) as database:
        return int(database.execute("SELECT count(*) FROM learner_steps").fetchone()[0])


@pytest.mark.slow
def test_a_real_rtsp_camera_is_seen_learned_and_sorted(taxon: Taxon) -> None:
    reason = why_no_rtsp(FILM)
    if reason:
        pytest.skip(reason)
    server = RtspServer(FILM)
    server.start()
    try:
        settings = ("camera.fps=5", "camera.gates.per_minute=0", "cluster.every=20", "cluster.idle_s=2")
        small = ("encoder.image_px=32", "learner.views_per_picture=4")
        process = taxon.start(*settings, *small, learning=True, camera=f"front={server.url}")
        taxon.wait_for(lambda: taxon.stored() >= 40)
        taxon.wait_for(lambda: any(row["status"] == "clustered" for row in taxon.export()))
        taxon.wait_for(lambda: learner_steps(taxon) > 0)
        assert taxon.stop(process) == 0
    finally:
        server.kill()
    sorted_ids = {row["cluster_id"] for row in taxon.export() if row["status"] == "clustered"}
    assert sorted_ids
    assert sorted_ids <= {str(kind["id"]) for kind in taxon.json("clusters")}
    status = taxon.json("status")
    assert status["clustering_id"] >= 1
    assert b"secret" not in taxon.log.read_bytes()


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
