"""The daemon as its users meet it: files in every state, signals, kills, readers beside it and after it."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Taxon
from tests.pictures import FAMILIES, jpeg


def write_slowly(path: Path, content: bytes, pieces: int = 6, pause_s: float = 0.3) -> None:
    size = -(-len(content) // pieces)
    with path.open("wb") as file:
        for start in range(0, len(content), size):
            file.write(content[start : start + size])
            file.flush()
            time.sleep(pause_s)


def test_what_really_happens_in_a_folder(taxon: Taxon) -> None:
    process = taxon.start("folder.rescan_s=5", "cluster.idle_s=1")
    taxon.wait_for(lambda: "watching" in taxon.tail())
    write_slowly(taxon.folder / "slow.jpg", jpeg("disc", 1, 200))
    (taxon.folder / "truncated.jpg").write_bytes(jpeg("disc", 2)[:900])
    (taxon.folder / "empty.jpg").touch()
    (taxon.folder / "original.jpg").write_bytes(jpeg("bars", 3))
    (taxon.folder / "copy.jpg").write_bytes(jpeg("bars", 3))
    outside = taxon.folder.parent / "outside"
    outside.mkdir()
    (outside / "moved-in.jpg").write_bytes(jpeg("cross", 4))
    shutil.move(outside, taxon.folder / "inside")
    taxon.wait_for(lambda: len(taxon.rows()) == 6)
    (taxon.folder / "original.jpg").rename(taxon.folder / "renamed.jpg")
    taxon.wait_for(lambda: "renamed.jpg" in taxon.rows() and "original.jpg" not in taxon.rows())

    rows = taxon.rows()
    status = taxon.json("status")
    assert status["daemon"] == "running"
    assert status["pid"] == process.pid
    assert status["pictures"] == 3  # slow, original = copy = renamed, moved-in
    assert {name for name, row in rows.items() if row["status"] == "rejected"} == {"truncated.jpg", "empty.jpg"}
    assert rows["renamed.jpg"]["sha256"] == rows["copy.jpg"]["sha256"]
    assert taxon.stop(process) == 0


@pytest.mark.slow
def test_a_second_agent_is_refused_by_name(taxon: Taxon) -> None:
    process = taxon.start()
    taxon.wait_for(lambda: "watching" in taxon.tail())
    second = taxon.call("run", "--once", "--watch", str(taxon.folder), check=False)
    assert second.returncode == 3
    assert str(process.pid) in second.stderr
    assert "Traceback" not in second.stderr
    assert taxon.stop(process, signal.SIGINT) == 0


def test_sigterm_writes_a_checkpoint_and_a_restart_goes_on(taxon: Taxon) -> None:
    fast = ("learner.views_per_picture=6", "encoder.image_px=32", "cluster.idle_s=1")
    for seed in range(40):
        (taxon.folder / f"{seed}.jpg").write_bytes(jpeg("disc", seed))
    process = taxon.start(*fast, learning=True)
    taxon.wait_for(lambda: taxon.stored() == 40 and taxon.json("status")["learner_debt"] > 0)
    taxon.wait_for(lambda: taxon.json("status")["learner_debt"] == 0)
    started = time.monotonic()
    assert taxon.stop(process) == 0
    assert time.monotonic() - started < 10
    assert list((taxon.data / "checkpoints").glob("learner-*"))
    assert taxon.json("status")["daemon"] == "stopped"

    (taxon.folder / "later.jpg").write_bytes(jpeg("rings", 1))
    process = taxon.start(*fast, learning=True)
    taxon.wait_for(lambda: taxon.stored() == 41 and "learning goes on" in taxon.tail())
    assert taxon.stop(process) == 0


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(1_200)])])
def test_kills_lose_and_repeat_nothing(taxon: Taxon, kills: int) -> None:
    rng = random.Random(kills)
    files = [(f"{family}-{seed}.jpg", jpeg(family, seed)) for seed in range(6 * kills) for family in FAMILIES]
    per_kill = len(files) // kills
    for kill in range(kills):
        process = taxon.start("cluster.every=20", "inbox.batch=4")
        for name, content in files[kill * per_kill : (kill + 1) * per_kill]:
            (taxon.folder / name).write_bytes(content)
        if kill % 2:  # half of the kills hit the start, half the work
            before = taxon.stored()
            taxon.wait_for(lambda before=before: taxon.stored() > before)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        process.wait()
    taxon.once()
    rows = taxon.export()
    assert len(rows) == len(files)
    assert len({row["sha256"] for row in rows}) == len(files)
    assert taxon.stored() == len(files)
    assert not [row for row in rows if row["status"] not in ("clustered", "unassigned")]


def test_missing_folder_and_wrong_flags_are_one_clear_line(taxon: Taxon) -> None:
    missing = taxon.call("run", "--watch", str(taxon.folder / "nowhere"), check=False)
    assert missing.returncode == 4
    assert "nowhere" in missing.stderr
    assert "Traceback" not in missing.stderr
    wrong = taxon.call("run", "--watch", str(taxon.folder), "--set", "learner.lrr=1", check=False)
    assert wrong.returncode == 2
    assert "learner.lr" in wrong.stderr


@pytest.mark.slow
def test_another_network_on_the_same_data_is_refused(taxon: Taxon) -> None:
    (taxon.folder / "one.jpg").write_bytes(jpeg("disc", 1))
    taxon.once()
    before = (taxon.data / "taxon.yaml").read_text()
    other = taxon.call("run", "--once", "--watch", str(taxon.folder), "--set", "encoder.image_px=64", check=False)
    assert other.returncode == 2
    assert "another --data" in other.stderr
    assert (taxon.data / "taxon.yaml").read_text() == before


@pytest.mark.slow
def test_pause_and_resume(taxon: Taxon) -> None:
    fast = ("learner.views_per_picture=6", "encoder.image_px=32")
    process = taxon.start(*fast, learning=True)
    taxon.wait_for(lambda: "watching" in taxon.tail())
    taxon.call("pause")
    for seed in range(20):
        (taxon.folder / f"{seed}.jpg").write_bytes(jpeg("disc", seed))
    taxon.wait_for(lambda: taxon.stored() == 20)
    assert taxon.json("status")["daemon"] == "paused"
    taxon.call("resume")
    taxon.wait_for(lambda: taxon.json("status")["learner_debt"] == 0)
    assert taxon.stop(process) == 0


@pytest.mark.slow
def test_a_kill_leaves_no_stored_picture_unlearned(taxon: Taxon) -> None:
    fast = ("learner.views_per_picture=12", "encoder.image_px=32", "cluster.idle_s=1")
    for seed in range(120):
        (taxon.folder / f"{seed}.jpg").write_bytes(jpeg(FAMILIES[seed % 4], seed))
    process = taxon.start(*fast, learning=True)
    taxon.wait_for(lambda: taxon.stored() == 120 and taxon.json("status")["learner_debt"] < 120 * 12)
    process.kill()
    process.wait()
    taxon.once(*fast, learning=True)
    status = taxon.json("status")
    assert status["learner_debt"] == 0
    assert status["pending"] == 0
    assert status["encoder_version"] >= 2
