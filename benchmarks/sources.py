"""How pictures come in: how fast, how surely, and what watching costs when nothing comes.

    python -m benchmarks.sources --json

All but `frames_per_s` is measured on the real command with learning off:

    files_per_s       640 x 480 JPEG files, from the first one's creation to the last one's row, with the born network
    events_lost       of files that are written before, while and after the agent is stopped with SIGSTOP
    idle_cpu_percent  of one core, by the agent and its processes, where all is stored and nothing happens; longer than
                      the time between two scans, so that one is counted
    frames_per_s      camera pictures that one thread decodes and looks through
    recover_s         from the death of a camera's server, which is started again at once, to a new picture's row
    push_per_s        640 x 480 JPEG files that one sender on this machine has stored, each answered before the next
    push_of_4_per_s   the same by four senders at once
    push_refused      answers of 503, each with Retry-After, to 16 senders of whom `push.at_once` lets two in
    push_lost         pictures of those 16 that were not stored in the end
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.address import parse
from agent.config import CameraConfig, Config
from agent.sources.stream import StreamFeed
from benchmarks.datasets import datasets_folder
from benchmarks.ingest import make_pictures
from benchmarks.running import ROOT, SMALL, Running
from benchmarks.senders import send_all
from storage.engine import database_url, open_engine
from storage.migrate import migrate
from storage.records import Assignments, Clustering, LocationRecord, PictureRecord
from storage.store import Store

FILM = "video/car-detection.mp4"
PER_FOLDER = 1_000
PATIENCE_S = 1_200.0
OUTAGES = 5
CAMERA_PICTURES = 200
CROWD = 16
LOOKED_PX = 160
"""Long side of the grey picture that the gates look at."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(Path(scratch), options)
        # before a hundred thousand files are removed, which takes its time
        print(json.dumps(result) if options.json else "\n".join(f"{k:>16}  {v}" for k, v in result.items()), flush=True)
    return 0


def measure(scratch: Path, options: argparse.Namespace) -> dict[str, float]:
    """All figures; those whose size is 0 are left out."""
    result: dict[str, float] = {}
    if options.files:
        result["files_per_s"] = round(files_per_s(scratch / "speed", options.files), 1)
    if options.stopped:
        result["events_lost"] = events_lost(scratch / "stopped", options.stopped)
    if options.idle:
        result["idle_cpu_percent"] = round(idle_cpu_percent(scratch / "idle", options.idle, options.idle_s), 2)
    if options.frames_s:
        result["frames_per_s"] = round(frames_per_s(scratch / "film.mp4", options.frames_s))
    if options.outages:
        result["recover_s"] = round(recover_s(scratch / "camera", options.outages), 1)
    if options.pushed:
        result |= pushed(scratch / "pushed", options.pushed)
    return result


# -------------------------------------------------------------------- folders


def files_per_s(home: Path, count: int) -> float:
    """Files a second from creation to row, written as fast as the disk takes them."""
    home.mkdir()
    make_pictures(home / "made", count + 1)
    contents = [path.read_bytes() for path in sorted((home / "made").iterdir())]
    folder = home / "pictures"
    folder.mkdir()
    with Running(home / "data", ["--watch", str(folder)], ("cluster.every=1000000", "cluster.idle_s=1000000")) as agent:
        (folder / "first.jpg").write_bytes(contents.pop())
        agent.wait(lambda: agent.pictures() == 1, PATIENCE_S)  # all parts are warm
        started = time.perf_counter()
        for number, content in enumerate(contents):
            (folder / f"{number:06d}.jpg").write_bytes(content)
        if not agent.wait(lambda: agent.pictures() == count + 1, PATIENCE_S):
            raise RuntimeError(f"{agent.pictures()} of {count + 1} pictures were stored")
        return count / (time.perf_counter() - started)


def events_lost(home: Path, count: int) -> int:
    """Files that were not stored, of `count`, half of which were written while the agent stood still."""
    home.mkdir()
    folder = home / "pictures"
    for number in range(0, count, PER_FOLDER):  # of a folder that is new the kernel tells once, however full it gets
        folder_of(folder, number).mkdir(parents=True)
    settings = (*SMALL, "folder.rescan_s=3600")  # what events lose must be found without waiting for a scan
    with Running(home / "data", ["--watch", str(folder)], settings) as agent:
        agent.wait(lambda: "watching" in agent.said(), PATIENCE_S)
        write_tiny(folder, range(count // 4))
        agent.wait(lambda: agent.pictures() == count // 4, PATIENCE_S)
        agent.process.send_signal(signal.SIGSTOP)
        write_tiny(folder, range(count // 4, 3 * count // 4))
        agent.process.send_signal(signal.SIGCONT)
        write_tiny(folder, range(3 * count // 4, count))
        agent.wait(lambda: agent.pictures() == count, PATIENCE_S)
        return count - agent.pictures()


def idle_cpu_percent(home: Path, count: int, idle_s: float) -> float:
    """Share of one core over `idle_s` seconds with `count` files that are all stored."""
    folder, data = home / "pictures", home / "data"
    folder.mkdir(parents=True)
    data.mkdir()
    write_tiny(folder, range(count))
    pretend_stored(folder, data)
    with Running(data, ["--watch", str(folder), "--set", "folder.observer=native"]) as agent:
        agent.wait(lambda: "watching" in agent.said(), PATIENCE_S)
        settle(agent)
        before, started = agent.cpu_s(), time.perf_counter()
        time.sleep(idle_s)
        return 100 * (agent.cpu_s() - before) / (time.perf_counter() - started)


def settle(agent: Running, calm_s: float = 5.0) -> None:
    """Wait until the start is over: less than a tenth of a core for some seconds in a row."""
    calm, before = 0.0, agent.cpu_s()
    while calm < calm_s:
        time.sleep(1)
        now = agent.cpu_s()
        calm, before = (calm + 1 if now - before < 0.1 else 0.0), now


def write_tiny(folder: Path, numbers: range) -> None:
    """A different small picture for each number, in sub-folders of a thousand."""
    for number in numbers:
        sub = folder_of(folder, number)
        sub.mkdir(exist_ok=True)
        (sub / f"{number:06d}.ppm").write_bytes(tiny(number))


def folder_of(folder: Path, number: int) -> Path:
    return folder / f"{number // PER_FOLDER:04d}"


def tiny(number: int) -> bytes:
    return b"P6 8 8 255\n" + np.random.default_rng(number).integers(0, 256, 192, dtype=np.uint8).tobytes()


def pretend_stored(folder: Path, data: Path) -> None:
    """Rows for all files, as an agent would have left them, but for what their embeddings say."""
    engine = open_engine(database_url(data))
    migrate(engine)
    store, config = Store(engine), Config().encoder
    store.ensure_born(config.model_dump(mode="json", include={"backbone", "weights", "image_px"}))
    records = [_record(path, str(folder)) for path in sorted(folder.rglob("*.ppm"))]
    for start in range(0, len(records), 2_000):
        store.add(records[start : start + 2_000])
    none_N, share_N = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    nothing = Assignments(none_N, none_N, share_N, np.empty(0, dtype=np.bool_))
    store.add_clustering(Clustering(1, len(records), len(records), 1.0, {}, (), nothing, ()))  # no round is due
    engine.dispose()


def _record(path: Path, source: str) -> PictureRecord:
    facts = path.stat()
    place = LocationRecord(str(path), source, facts.st_size, facts.st_mtime_ns)
    taken = datetime.fromtimestamp(facts.st_mtime, UTC)
    return PictureRecord(f"{int(path.stem):064x}", taken, 8, 8, b"", np.empty(0, dtype=np.float16), {}, place)


# -------------------------------------------------------------------- cameras


def frames_per_s(drawn: Path, seconds: float) -> float:
    """Pictures a second of a film that one thread decodes, as a camera's process does."""
    film = datasets_folder() / FILM
    address = parse(f"film={film if film.is_file() else draw_film(drawn)}")
    feed, count, started = StreamFeed(address, CameraConfig()), 0, time.thread_time()
    while time.thread_time() - started < seconds:
        looked_at_s = -1.0
        for shot in feed.shots():
            count += 1
            if shot is not None and shot.at_s >= looked_at_s + 1:
                shot.grey_HW(LOOKED_PX)
                looked_at_s = shot.at_s
    return count / (time.thread_time() - started)


def draw_film(path: Path, seconds: int = 20, fps: int = 25) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=Fraction(fps))
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        for number in range(seconds * fps):
            container.mux(video.encode(av.VideoFrame.from_ndarray(scene(number, 640, 360), format="rgb24")))
        container.mux(video.encode())
    return path


def scene(number: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Coarse blobs that are others for each number: no gate holds one for a repeat."""
    blobs = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blobs).resize((width_px, height_px), Image.Resampling.BICUBIC))


def recover_s(home: Path, outages: int) -> float:
    """Median seconds from the death of a camera's server to the next picture's row, with default settings."""
    shown = home / "shown"
    shown.mkdir(parents=True)
    port, server = free_port(), start_server(0, shown)
    settings = (*SMALL, "camera.gates.per_minute=0", "camera.kept.free_mb=0")
    with Running(home / "data", ["--camera", f"front=http://127.0.0.1:{port}/video"], settings) as agent:
        taken = []
        try:
            for outage in range(outages + 1):
                server.kill()
                server.wait()
                draw_pictures(shown, outage)
                started, server = time.perf_counter(), start_server(port, shown)
                _stored(agent, 1)
                taken.append(time.perf_counter() - started)
                _stored(agent, 3)
        finally:
            server.kill()
            server.wait()
        return statistics.median(taken[1:])  # the first one was the start


def _stored(agent: Running, more: int) -> None:
    enough = agent.pictures() + more
    if not agent.wait(lambda: agent.pictures() >= enough, PATIENCE_S):
        raise RuntimeError("the camera's pictures do not come")


def start_server(port: int, shown: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.mjpeg", str(port), str(shown)], cwd=ROOT)


def draw_pictures(folder: Path, seed: int) -> None:
    """Others for each seed."""
    for number in range(CAMERA_PICTURES):
        picture = Image.fromarray(scene(seed * CAMERA_PICTURES + number, 320, 240))
        picture.save(folder / f"{number:03d}.jpg", quality=90)


# -------------------------------------------------------------------- the door


def pushed(home: Path, count: int) -> dict[str, float]:
    """Pictures a second that are stored for one and for four senders, and what becomes of more than are let in."""
    home.mkdir()
    make_pictures(home / "made", count + 1)
    pictures = [path.read_bytes() for path in sorted((home / "made").iterdir())]
    one_s, _, one_lost = push(home / "one", pictures, 1)
    four_s, _, four_lost = push(home / "four", pictures, 4)
    _, refused, crowd_lost = push(home / "crowd", pictures, CROWD, "push.at_once=2")
    return {
        "push_per_s": round(count / one_s, 1),
        "push_of_4_per_s": round(count / four_s, 1),
        "push_refused": refused,
        "push_lost": one_lost + four_lost + crowd_lost,
    }


def push(data: Path, pictures: Sequence[bytes], senders: int, *settings: str) -> tuple[float, int, int]:
    """Seconds until all but the first, which warms the agent up, are answered; answers of 503; pictures not stored."""
    port = free_port()
    sets = ("cluster.every=1000000", "cluster.idle_s=1000000", *settings)
    with Running(data, ["--push", str(port)], sets) as agent:
        agent.wait(lambda: "for pictures is online" in agent.said(), PATIENCE_S)
        send_all(port, pictures[:1], 1)
        started = time.perf_counter()
        refused = send_all(port, pictures[1:], senders)
        return time.perf_counter() - started, refused, len(pictures) - agent.pictures()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2_000, help="for files_per_s; 0 leaves it out, as below")
    parser.add_argument("--stopped", type=int, default=20_000, help="files for events_lost")
    parser.add_argument("--idle", type=int, default=100_000, help="files for idle_cpu_percent")
    parser.add_argument("--idle-s", type=float, default=330, help="how long it is watched")
    parser.add_argument("--frames-s", type=float, default=10, help="processor time for frames_per_s")
    parser.add_argument("--outages", type=int, default=OUTAGES, help="for recover_s, the median")
    parser.add_argument("--pushed", type=int, default=500, help="pictures that are sent, for push_per_s and the others")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
