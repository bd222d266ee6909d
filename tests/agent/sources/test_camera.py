"""A camera as a source: what it keeps, and how it comes back from whatever cameras and networks do."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.config import KeptConfig
from agent.decode import DecodePool
from agent.frame import Frame, Rejected
from agent.inbox import LIVE_ROOM, Inbox
from agent.sources.keeping import Keeper
from agent.sources.retention import listing
from storage.records import EventType
from tests.agent.sources.watched import SLOW_S, Watched
from tests.cameras import DATASETS, RtspServer, Server, free_port, garbage, jpegs, mjpeg, silent, why_no_rtsp
from tests.films import write_film

FILM = DATASETS / "video" / "car-detection.mp4"
BOTTLES = DATASETS / "video" / "bottle-detection.mp4"


Until = Callable[..., bool]


def once_each(frames: list[Frame]) -> bool:
    """Every frame has a file and a time of its own, in order."""
    uris = [frame.origin.uri for frame in frames]
    times = [frame.origin.captured_at for frame in frames]
    return len(set(uris)) == len(uris) and times == sorted(set(times))


# -------------------------------------------------------------------------- when all is well


def test_pictures_of_a_stream_are_looked_at_kept_and_counted(watched: Watched, until: Until) -> None:
    with Server(mjpeg(jpegs(40), fps=20)) as server:
        began = datetime.now(UTC)
        source = watched.start(f"here=http://{server.host}/video", fps=5)
        assert until(lambda: len(watched.frames()) >= 10, SLOW_S)
        watched.end()
        ended = datetime.now(UTC)
    frames = watched.frames()
    assert once_each(frames)
    for frame in frames:
        assert began - timedelta(seconds=1) < frame.origin.captured_at < ended
        assert (frame.width_px, frame.height_px, frame.origin.source) == (160, 120, "here")
        assert frame.origin.stat is not None
        assert Path(frame.origin.uri).stat().st_mtime_ns == frame.origin.stat.mtime_ns
    assert source.health == "online"
    counts = source.counts
    assert counts["skipped"] > counts["looked"] > 0, "most pictures are decoded and never looked at"
    assert counts["kept"] <= len(frames) + 1
    assert watched.outages.take() == []


def test_a_change_of_resolution_goes_on(watched: Watched, until: Until) -> None:
    shown = [*jpegs(15), *jpegs(15, 320, 240)]
    with Server(mjpeg(shown, fps=15)) as server:
        watched.start(f"here=http://{server.host}/video")
        assert until(lambda: len({frame.width_px for frame in watched.frames()}) == 2, SLOW_S)
    assert {frame.width_px for frame in watched.frames()} == {160, 320}


def test_a_camera_that_lies_about_what_lies_between_its_pictures_is_seen_all_the_same(
    watched: Watched, until: Until
) -> None:
    with Server(mjpeg(jpegs(40), boundary="another")) as server:
        watched.start(f"here=http://{server.host}/video")
        assert until(lambda: len(watched.frames()) >= 3, SLOW_S)


@pytest.mark.slow
def test_thirty_two_cameras_are_all_seen(tmp_path: Path, archive: Any, pool: DecodePool, until: Until) -> None:
    cameras = [Watched(archive, pool, tmp_path / f"{number}") for number in range(32)]
    try:
        with Server(mjpeg(jpegs(40), fps=5)) as server:
            for camera in cameras:
                camera.start(
                    f"here=http://{server.host}/video", fps=1, open_timeout_s=30, read_timeout_s=30, stall_s=60
                )

            def seen() -> set[str]:
                return {Path(uri).relative_to(tmp_path).parts[0] for uri in list(archive.present)}

            assert until(lambda: len(seen()) == 32, 240)
            assert until(lambda: all(camera.source.health == "online" for camera in cameras), SLOW_S)
    finally:
        for camera in cameras:
            camera.stop.set()
        for camera in cameras:
            camera.end()


# -------------------------------------------------------------------------- when nothing is


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_accepts_and_never_answers_is_given_up_and_tried_again(
    watched: Watched, until: Until, scheme: str
) -> None:
    with Server(silent) as server:
        source = watched.start(f"here={scheme}://me:secret@{server.host}/1", open_timeout_s=1, read_timeout_s=1)
        assert until(lambda: server.visits >= 3, SLOW_S)
        assert source.health == "offline"
        watched.end()
    assert "no answer in time" in watched.reasons()
    assert [event.type for event in watched.outages.take()] == [EventType.SOURCE_OFFLINE]
    assert not any("secret" in detail for _, detail in watched.said)


def test_garbage_is_no_stream(watched: Watched, until: Until) -> None:
    with Server(garbage) as server:
        source = watched.start(f"here=http://{server.host}/1", stall_s=5)
        assert until(lambda: server.visits >= 2, SLOW_S)
        assert source.health == "offline"
    assert not watched.frames()


def test_nobody_at_home(watched: Watched, until: Until) -> None:
    source = watched.start(f"here=rtsp://me:secret@127.0.0.1:{free_port()}/1")
    assert until(lambda: len(watched.reasons()) >= 2, SLOW_S)
    assert source.detail == "connection refused"


def test_a_device_that_is_not_plugged_in_is_away_and_tried_again(watched: Watched, until: Until) -> None:
    source = watched.start("here=/dev/video-of-nobody")
    assert until(lambda: len(watched.reasons()) >= 2, SLOW_S)
    assert (source.health, source.detail) == ("offline", "no such file or directory")


@pytest.mark.parametrize(
    ("times", "reason"),
    [({"read_timeout_s": 1}, "no answer in time"), ({"read_timeout_s": 60, "stall_s": 3}, "no picture for 3 s")],
    ids=["the library notices", "the agent notices"],
)
def test_a_stream_that_stalls_is_made_anew(
    watched: Watched, until: Until, times: dict[str, float], reason: str
) -> None:
    with Server(mjpeg(jpegs(40), stall_after=20)) as server:
        watched.start(f"here=http://{server.host}/video", **times)
        assert until(lambda: server.visits >= 2, SLOW_S)
        before = len(watched.frames())
        assert until(lambda: len(watched.frames()) > before + 3, SLOW_S)
        watched.end()
    assert watched.reasons() == [reason]
    assert [event.type for event in watched.outages.take()] == [EventType.SOURCE_OFFLINE, EventType.SOURCE_ONLINE]
    assert once_each(watched.frames())


def test_a_process_that_is_killed_is_made_anew(watched: Watched, until: Until) -> None:
    with Server(mjpeg(jpegs(40))) as server:
        before = set(psutil.Process().children())
        watched.start(f"here=http://{server.host}/video")
        assert until(lambda: len(watched.frames()) >= 2, SLOW_S)
        for child in set(psutil.Process().children()) - before:
            if "resource_tracker" not in " ".join(child.cmdline()):
                child.kill()
        assert until(lambda: watched.source.health == "offline", SLOW_S)
        assert until(lambda: watched.source.health == "online", SLOW_S)
        many = len(watched.frames())
        assert until(lambda: len(watched.frames()) >= many + 2, SLOW_S)
        watched.end()
    assert once_each(watched.frames())
    assert "ended unexpectedly" in watched.reasons()[0]


def test_stopping_takes_no_two_seconds_even_while_nothing_answers(watched: Watched, until: Until) -> None:
    with Server(silent) as server:
        watched.start(f"here=rtsp://{server.host}/1", open_timeout_s=60, stall_s=60)
        assert until(lambda: server.visits == 1, SLOW_S)
        watched.end()  # measures


# -------------------------------------------------------------------------- room


def test_a_learner_that_is_behind_costs_pictures_and_no_memory(watched: Watched, until: Until) -> None:
    full = Inbox(2)
    with Server(mjpeg(jpegs(40), fps=30)) as server:
        source = watched.make(f"here=http://{server.host}/video", inbox=full)
        thread = threading.Thread(target=source.run, args=(watched.stop,), daemon=True)
        thread.start()
        assert until(lambda: source.counts.get("busy", 0) >= 10, SLOW_S)
        room = 2 + LIVE_ROOM
        assert full.depth == room
        assert source.counts["kept"] == room + 1, "one is on its way"
        before_at = datetime.now(UTC)
        taken = full.take(room, 1)
        full.acknowledge(taken)
        assert until(lambda: full.depth == room, SLOW_S)
        newest = full.take(room, 1)[-1]
        assert newest.origin.captured_at > before_at, "what waited was not old pictures"
        watched.stop.set()
        thread.join(2)
        assert not thread.is_alive()


def test_a_full_disk_is_said_and_passes(watched: Watched, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    too_much_mb = (shutil.disk_usage("/tmp").total >> 20) + 1
    with Server(mjpeg(jpegs(40))) as server:
        source = watched.start(f"here=http://{server.host}/video", kept={"free_mb": too_much_mb})
        assert until(lambda: source.health == "degraded", SLOW_S)
        assert "camera.kept.free_mb" in source.detail
        assert source.counts["no_room"] > 0
    assert not watched.frames()
    assert not listing(watched.folder)


def test_what_is_too_much_is_deleted_and_marked_missing(watched: Watched, until: Until) -> None:
    keeper = Keeper(watched.folder, KeptConfig(free_mb=0))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    paths = [keeper.keep(bytes(700_000), at + timedelta(seconds=i), None)[0] for i in range(4)]
    for path in paths:
        watched.archive.present[str(path)] = (700_000, path.stat().st_mtime_ns)
    watched.start(f"here=rtsp://127.0.0.1:{free_port()}/1", kept={"free_mb": 0, "max_mb": 2})
    assert until(lambda: len(watched.archive.missing) == 2, SLOW_S)
    assert until(lambda: len(listing(watched.folder)) == 2, SLOW_S)
    assert set(watched.archive.missing) == set(map(str, paths)) - {file.path for file in listing(watched.folder)}


def test_what_a_killed_agent_kept_and_never_stored_is_stored_now(
    watched: Watched, until: Until, picture: Callable[..., bytes]
) -> None:
    keeper = Keeper(watched.folder, KeptConfig(free_mb=0))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    paths = [keeper.keep(picture(i), at + timedelta(seconds=i), None)[0] for i in range(12)]
    stored = paths[0]
    watched.archive.present[str(stored)] = (stored.stat().st_size, stored.stat().st_mtime_ns)
    lost = stored.with_name("093012.000000.jpg")
    watched.archive.present[str(lost)] = (1, 1)
    torn = stored.with_name(".torn.jpg.part")
    torn.write_bytes(b"half")
    watched.start(f"here=rtsp://127.0.0.1:{free_port()}/1")
    assert until(lambda: len(watched.frames()) == 11, SLOW_S)
    assert [frame.origin.uri for frame in watched.frames()] == list(map(str, paths[1:]))
    assert watched.frames()[0].origin.captured_at == at + timedelta(seconds=1)
    assert not torn.exists()
    assert watched.archive.missing == [str(lost)]


def test_a_film_that_is_none_is_rejected_after_three_attempts(watched: Watched, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(random.Random(0).randbytes(50_000))
    source = watched.make(f"here={film}")
    source.drain(watched.stop)
    (rejected,) = watched.archive.items
    assert isinstance(rejected, Rejected)
    assert "cannot be read as video" in rejected.reason
    assert source.health == "offline"


def test_a_film_that_was_rejected_and_was_mended_is_rejected_no_more(watched: Watched, tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", seconds=2)
    watched.archive.rejected[str(film)] = (1, 1)
    watched.make(f"here={film}").drain(watched.stop)
    assert watched.frames()
    assert watched.archive.missing == [str(film)]


def test_a_film_waits_for_room_on_the_disk(watched: Watched, until: Until, tmp_path: Path) -> None:
    too_much_mb = (shutil.disk_usage("/tmp").total >> 20) + 1
    film = write_film(tmp_path / "film.mp4", seconds=2)
    source = watched.start(f"here={film}", kept={"free_mb": too_much_mb}, stall_s=2)
    assert until(lambda: source.health == "degraded", SLOW_S)
    looked = source.counts["looked"]
    time.sleep(3)  # longer than a stall
    assert (source.health, source.counts["looked"]) == ("degraded", looked)
    assert watched.reasons() == []


# -------------------------------------------------------------------------- a real RTSP server


KEY_FRAMES_S = 20.0
"""Between key frames of the films: who comes into the middle waits for the next."""
BACKOFF_MAX_S = 3.0


@pytest.mark.parametrize(
    ("film", "outages"),
    [
        (FILM, 1),
        pytest.param(FILM, 10, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
        pytest.param(BOTTLES, 3, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
    ids=["cars", "cars, ten times", "bottles"],
)
def test_a_real_server_is_killed_hung_and_started_again(
    watched: Watched, until: Until, film: Path, outages: int
) -> None:
    reason = why_no_rtsp(film)
    if reason:
        pytest.skip(reason)
    server = RtspServer(film)
    server.start()
    times = {"open_timeout_s": 10, "read_timeout_s": 3, "stall_s": 15, "backoff_s": 1, "backoff_max_s": BACKOFF_MAX_S}
    back_s: list[float] = []
    attempts: list[int] = []
    resident: list[int] = []
    others = set(psutil.Process().children())
    try:
        began = time.monotonic()
        source = watched.start(f"here={server.url}", fps=5, **times)
        assert until(lambda: len(watched.frames()) > 0, SLOW_S), source.detail
        first_s = time.monotonic() - began
        assert until(lambda: len(watched.frames()) >= 5, SLOW_S), source.detail
        watched.outages.take()  # of a machine on which even the first attempt took too long
        for outage in range(outages):
            resident.append(largest_child(others))
            if outage % 3:
                server.hang()
            else:
                server.kill()
            assert until(lambda: source.health == "offline", SLOW_S)
            assert until(lambda: watched.archive.inbox.depth == 0)
            before = len(watched.frames())
            attempts.append(before)
            if outage % 3 == 1:
                server.go_on()
            else:
                server.kill()
                server.start()
            began = time.monotonic()
            assert until(lambda before=before: len(watched.frames()) > before, SLOW_S), source.detail
            back_s.append(time.monotonic() - began)
            assert until(lambda before=before: len(watched.frames()) >= before + 5, SLOW_S), source.detail
        watched.end()
    finally:
        server.kill()
    said = f"first after {first_s:.1f} s, back after {[round(s, 1) for s in back_s]} s; {source.counts}"
    print(f"{said}; {[size >> 20 for size in resident]} MB")
    # nothing but the wait, a process, a first visit and a key frame, twice as slow where other work comes between
    assert max(back_s) < BACKOFF_MAX_S + 2 * (max(first_s, BACKOFF_MAX_S) + KEY_FRAMES_S), said
    assert once_each(watched.frames())
    assert within_attempts_no_time_comes_twice(watched.frames(), attempts)
    events = [event.type for event in watched.outages.take()]
    assert events == [EventType.SOURCE_OFFLINE, EventType.SOURCE_ONLINE] * outages
    assert not any("secret" in detail for _, detail in watched.said)
    assert 0 <= source.counts["kept"] - len(watched.frames()) <= outages + 1, "one may be on its way at each end"
    assert max(resident) - min(resident) < 30 << 20


def largest_child(others: set[psutil.Process]) -> int:
    """Bytes resident of the camera's process: that of the children which are new."""
    return max(child.memory_info().rss for child in set(psutil.Process().children()) - others)


def within_attempts_no_time_comes_twice(frames: list[Frame], ends: list[int]) -> bool:
    """Each attempt begins the film again; the stream's own time stands in the files' names, in milliseconds.

    The server sends a picture without one now and then.
    """
    stems = [Path(frame.origin.uri).stem for frame in frames]
    for start, end in pairwise([0, *ends, len(stems)]):
        times = [int(stem.partition("-")[2]) for stem in stems[start:end] if "-" in stem]
        if not times or times != sorted(set(times)):
            return False
    return True
