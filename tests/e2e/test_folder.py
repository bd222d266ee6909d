"""A watched folder at its worst, through the real command: stalls, floods, outages, a full disk. Learning is off."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import CHEAP_SETS, OFF, ROOT, Taxon, flags
from tests.pictures import tiny

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

NO_RESCAN = "folder.rescan_s=3600"
PATIENCE_S = 900.0
PER_FOLDER = 1_000


def write(folder: Path, numbers: range, side_px: int = 8, per_folder: int = PER_FOLDER) -> None:
    """A different small picture for each number, in sub-folders."""
    for number in numbers:
        sub = folder / f"{number // per_folder:03d}"
        if number % per_folder == 0 or number == numbers[0]:
            sub.mkdir(exist_ok=True)
        (sub / f"{number:06d}.png").write_bytes(tiny(number, side_px))


def ask(taxon: Taxon, query: str) -> int:
    """One number from the database, without the cost of a verb; -1 before there is one."""
    try:
        connection = sqlite3.connect(f"file:{taxon.data / 'taxon.db'}?mode=ro", uri=True, timeout=30)
    except sqlite3.OperationalError:
        return -1
    try:
        return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return -1
    finally:
        connection.close()


def pictures(taxon: Taxon) -> int:
    return ask(taxon, "SELECT COUNT(*) FROM pictures")


def missing(taxon: Taxon) -> int:
    return ask(taxon, "SELECT COUNT(*) FROM locations WHERE missing_at IS NOT NULL")


def watching(taxon: Taxon) -> None:
    taxon.wait_for(lambda: pictures(taxon) >= 0 and "watching" in taxon.tail())


def hearing(taxon: Taxon) -> int:
    """Its watch stands: the second picture came by an event, or by the scan that follows the start of a watch."""
    watching(taxon)
    for number in range(2):
        write(taxon.folder, range(number, number + 1))
        settled(taxon, number + 1)
    return 2


def settled(taxon: Taxon, count: int) -> None:
    """All are stored, and no more come."""
    taxon.wait_for(lambda: pictures(taxon) >= count, PATIENCE_S)
    time.sleep(2)
    assert pictures(taxon) == count
    assert ask(taxon, "SELECT COUNT(*) FROM locations") == count
    assert ask(taxon, "SELECT COUNT(*) FROM rejections") == 0


def test_of_files_written_while_the_process_was_stopped_none_is_lost(taxon: Taxon) -> None:
    process = taxon.start(*CHEAP_SETS, NO_RESCAN)
    before = hearing(taxon)
    process.send_signal(signal.SIGSTOP)
    write(taxon.folder, range(before, 15_000), per_folder=20_000)  # of a new folder the kernel tells once, and is done
    process.send_signal(signal.SIGCONT)
    write(taxon.folder, range(15_000, 20_000), per_folder=20_000)
    settled(taxon, 20_000)
    (source,) = taxon.json("status")["sources"]
    assert (source["health"], source["counts"]["events_lost"] >= 1) == ("online", True)
    assert taxon.stop(process) == 0


def test_of_a_flood_of_files_none_is_lost(taxon: Taxon) -> None:
    process = taxon.start(*CHEAP_SETS, NO_RESCAN)
    watching(taxon)
    write(taxon.folder, range(40_000))
    settled(taxon, 40_000)
    assert taxon.stop(process) == 0


def test_of_thousands_of_new_folders_none_is_missed(taxon: Taxon) -> None:
    process = taxon.start(*CHEAP_SETS, NO_RESCAN)
    watching(taxon)
    for number in range(5_000):
        folder = taxon.folder / f"{number % 50:02d}" / f"{number:04d}" / "deep"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(tiny(number))
    settled(taxon, 5_000)
    assert taxon.stop(process) == 0


MURDER = """
import ctypes, signal, sys, threading
import run_agent

def kill_the_reader(number, frame):
    for thread in threading.enumerate():
        if type(thread).__name__ in ("InotifyEmitter", "Reader"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))

signal.signal(signal.SIGUSR1, kill_the_reader)
sys.exit(run_agent.main())
"""


def test_when_the_observer_dies_nothing_is_lost_and_another_takes_its_place(taxon: Taxon) -> None:
    arguments = ["run", "--watch", str(taxon.folder), "--data", str(taxon.data), *OFF]
    sets = flags(*CHEAP_SETS, "folder.rescan_s=20")
    with taxon.log.open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", MURDER, *arguments, *sets], stdout=log, stderr=log, cwd=ROOT)
    taxon.adopt(process)
    watching(taxon)
    write(taxon.folder, range(100))
    settled(taxon, 100)
    process.send_signal(signal.SIGUSR1)
    write(taxon.folder, range(100, 200))  # the first of them is the last that it hears of
    taxon.wait_for(lambda: pictures(taxon) == 200, 30)
    began = time.monotonic()
    write(taxon.folder, range(200, 300))
    taxon.wait_for(lambda: pictures(taxon) == 300, 30)
    assert time.monotonic() - began < 10, "by events again, and not by the scan"
    (source,) = taxon.json("status")["sources"]
    assert source["counts"]["watch_restarts"] >= 1
    assert taxon.stop(process) == 0


def test_too_few_watches_are_told_and_made_up_for_by_scans(taxon: Taxon) -> None:
    scarce = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        'echo 40 >/proc/sys/user/max_inotify_watches && exec "$@"',
    ]
    if subprocess.run([*scarce, "sh", "true"], capture_output=True).returncode:
        pytest.skip("no name space of its own for a process (unshare --user)")
    for number in range(100):
        (taxon.folder / f"{number:03d}").mkdir()
    sets = flags(*CHEAP_SETS, NO_RESCAN, "folder.poll_s=1")
    command = taxon.command("run", "--watch", str(taxon.folder), *OFF, *sets)
    with taxon.log.open("ab") as log:
        process = subprocess.Popen([*scarce, "sh", *command], stdout=log, stderr=log, cwd=ROOT)
    taxon.adopt(process)
    watching(taxon)
    for number in range(100):
        (taxon.folder / f"{number:03d}" / "a.png").write_bytes(tiny(number))
    settled(taxon, 100)
    (source,) = taxon.json("status")["sources"]
    assert source["health"] == "degraded"
    assert "fs.inotify.max_user_watches is " in source["detail"]
    assert (source["observer"], source["observer_why"] in source["detail"]) == ("polling", True)
    assert taxon.stop(process) == 0


def test_a_folder_that_goes_away_and_comes_back_loses_no_picture(taxon: Taxon) -> None:
    write(taxon.folder, range(300))
    process = taxon.start(*CHEAP_SETS, "folder.rescan_s=2")
    settled(taxon, 300)
    away = taxon.folder.with_name("unmounted")
    taxon.folder.rename(away)
    taxon.wait_for(lambda: bool(taxon.json("history", "--type", "source_offline")))
    taxon.folder.mkdir()  # as a mount point without its mount
    time.sleep(5)
    assert (missing(taxon), taxon.json("status")["sources"][0]["health"]) == (0, "offline")
    taxon.folder.rmdir()
    away.rename(taxon.folder)
    taxon.wait_for(lambda: bool(taxon.json("history", "--type", "source_online")))
    write(taxon.folder, range(300, 310))
    settled(taxon, 310)
    assert missing(taxon) == 0
    assert len(taxon.json("history", "--type", "source_offline")) == 1
    assert taxon.stop(process) == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount a small disk")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "taxon-test", str(disk)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mount(disk: Path, point: Path) -> None:
    subprocess.run(["mount", "--bind", str(disk), str(point)], check=True)


def told(taxon: Taxon, event: str, times: int) -> bool:
    return len(taxon.json("history", "--type", event)) == times


def unmount(point: Path) -> None:
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def test_a_mount_that_goes_away_and_returns_loses_no_picture(taxon: Taxon, small_disk: Path) -> None:
    """Once as the same disk, and once as another one with the same files, as a network mount is after a restart."""
    first, second = small_disk / "first", small_disk / "second"
    first.mkdir()
    mount(first, taxon.folder)
    try:
        write(taxon.folder, range(30))
        process = taxon.start(*CHEAP_SETS, "folder.rescan_s=1")
        settled(taxon, 30)
        for times, disk in enumerate((first, second), 1):
            unmount(taxon.folder)
            taxon.wait_for(partial(told, taxon, "source_offline", times))
            assert (missing(taxon), taxon.json("status")["sources"][0]["health"]) == (0, "offline")
            if disk is second:
                shutil.copytree(first, second)
            mount(disk, taxon.folder)
            taxon.wait_for(partial(told, taxon, "source_online", times))
            (taxon.folder / f"new-{times}.png").write_bytes(tiny(1_000 + times))
            settled(taxon, 30 + times)
            assert missing(taxon) == 0
        assert taxon.stop(process) == 0
    finally:
        unmount(taxon.folder)


def test_a_disk_that_fills_up_is_told_harms_nothing_and_is_waited_for(taxon: Taxon, small_disk: Path) -> None:
    taxon.data = small_disk / "data"
    process = taxon.start(*CHEAP_SETS, "cluster.every=300", "cluster.idle_s=1")
    watching(taxon)
    write(taxon.folder, range(3_000), side_px=60)
    taxon.wait_for(lambda: "is the disk full?" in taxon.log.read_text(), PATIENCE_S)
    fill(small_disk / "ballast")  # not a byte is left for heartbeats and rounds either
    time.sleep(30)
    assert process.poll() is None, taxon.tail()
    assert 0 < pictures(taxon) < 3_000
    assert "Traceback" not in taxon.log.read_text()
    subprocess.run(["mount", "-o", "remount,size=400m", str(small_disk)], check=True)
    settled(taxon, 3_000)
    taxon.wait_for(lambda: taxon.json("status")["pending"] == 0)
    assert taxon.stop(process) == 0
    assert integrity(taxon) == "ok"


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def integrity(taxon: Taxon) -> str:
    connection = sqlite3.connect(taxon.data / "taxon.db")
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


def test_a_long_backlog_lies_on_the_disk_and_not_in_memory(taxon: Taxon) -> None:
    few = largest_while_storing(taxon, 2_000)
    many = largest_while_storing(taxon, 100_000)
    print(f"at most {few >> 20} MB resident with 2,000 files, {many >> 20} MB with 98,000 more")
    assert many - few < 100 << 20


def largest_while_storing(taxon: Taxon, count: int) -> int:
    """Bytes resident, at most, of an agent that finds files up to `count` when it starts."""
    write(taxon.folder, range(max(0, pictures(taxon)), count))
    process, most = taxon.start(*CHEAP_SETS), 0
    while pictures(taxon) < count:
        assert process.poll() is None, taxon.tail()
        most = max(most, psutil.Process(process.pid).memory_info().rss)
        time.sleep(0.5)
    assert taxon.stop(process) == 0
    return most
