"""Files that kill or hang whoever decodes them, from the folder to the rejected row."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.config import DecodeConfig
from agent.decode import DecodePool, Reader
from storage.queries import Queries
from tests.agent.sources.conftest import picture


@pytest.fixture
def pool(faulty: Callable[[str], Reader]) -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=0.6), faulty("read"))
    yield pool
    pool.close()


def reasons(queries: Queries) -> dict[str, str]:
    return {Path(row.uri).name: row.reason for row in queries.pictures(status="rejected")}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash.jpg", "the decoder crashed (SIGSEGV)"),
        pytest.param("hang.jpg", "took longer than 0.6 s", marks=pytest.mark.slow),
        pytest.param("greedy.jpg", "needs more memory than is allowed", marks=pytest.mark.slow),
    ],
)
def test_poison_is_tried_three_times_and_again_when_it_changes(
    scan: Callable[[], None], folder: Path, queries: Queries, name: str, reason: str
) -> None:
    (folder / name).write_bytes(picture(0))
    (folder / "fine.jpg").write_bytes(picture(1))
    told = []
    for _ in range(4):
        scan()
        told.append(reasons(queries)[name])
    assert told[:2] == [f"{reason}; to be tried again"] * 2
    assert told[2:] == [f"{reason}; 3 attempts"] * 2, "the fourth time it was left alone"
    os.utime(folder / name)
    scan()
    assert reasons(queries)[name] == f"{reason}; 4 attempts"
    (folder / name).write_bytes(picture(7))
    scan()
    assert reasons(queries)[name] == f"{reason}; to be tried again"
    assert queries.status().pictures == 1
