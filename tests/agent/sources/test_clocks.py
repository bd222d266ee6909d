"""Files whose times are wrong: by the clock of a camera, of a server, or by no calendar at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.config import DecodeConfig
from agent.decode import read_file
from agent.frame import FileStat, Frame
from storage.queries import Queries

DAY_S = 86_400
YEAR_2286_S = 10**10
"""Most disks keep it; in nanoseconds it is more than a database's integer holds."""


def facts(mtime_s: int) -> os.stat_result:
    """As of a file of a disk that keeps any time whatever."""
    return os.stat_result(range(10), {"st_mtime_ns": mtime_s * 10**9})


@pytest.mark.parametrize(("mtime_s", "year"), [(10**12, 2262), (-(10**12), 1677), (0, 1970), (-DAY_S, 1969)])
def test_a_time_that_nobody_can_tell_becomes_one_that_can_be_told_and_stored(mtime_s: int, year: int) -> None:
    stat = FileStat.of(facts(mtime_s))
    assert stat.written_at.year == year
    assert -(2**63) <= stat.mtime_ns < 2**63


def test_files_of_the_past_and_of_the_future_are_stored_once_in_the_order_of_their_times(
    folder: Path, scan: Callable[..., None], queries: Queries, picture: Any
) -> None:
    tomorrow_s = int(datetime.now(UTC).timestamp()) + DAY_S
    times = {"future": YEAR_2286_S, "epoch": 0, "tomorrow": tomorrow_s, "before": -DAY_S}
    for seed, (name, mtime_s) in enumerate(times.items()):
        (folder / f"{name}.jpg").write_bytes(picture(seed))
        os.utime(folder / f"{name}.jpg", (mtime_s, mtime_s))
    for _ in range(2):
        scan()
        names = [Path(row.uri).stem for row in queries.pictures() if row.uri]
        assert names == ["before", "epoch", "tomorrow", "future"]
        assert queries.last_picture_id() == len(times)


def test_a_worker_survives_a_file_from_beyond_all_calendars(
    tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(0))
    mode = path.stat().st_mode
    beyond = os.stat_result([mode, *range(9)], {"st_mtime_ns": 10**21, "st_mtime": 1e12})
    monkeypatch.setattr("agent.decode.os.fstat", lambda number: beyond)
    (frame,) = read_file(path, "here", 1, config=DecodeConfig())
    assert isinstance(frame, Frame)
    assert frame.origin.captured_at.year == 2262
