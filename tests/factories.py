"""Small true records for tests: pictures, rejections, assignments and rounds that any `Store` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from storage.placement import put_window
from storage.records import (
    Assignments,
    Clustering,
    ClusterRecord,
    ClusterState,
    Event,
    LocationRecord,
    PictureRecord,
    RejectionRecord,
)
from storage.store import Store

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DIMS = 8


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


def sha(n: int) -> str:
    return hashlib.sha256(f"picture {n}".encode()).hexdigest()


def location(uri: str, source: str = "folder", size_bytes: int = 10, mtime_ns: int = 1) -> LocationRecord:
    return LocationRecord(uri, source, size_bytes, mtime_ns)


def picture(n: int, uri: str | None = None, versions: Iterable[int] = (), source: str = "folder") -> PictureRecord:
    """Picture number `n`: always the same content, wherever it lies."""
    generator = np.random.default_rng(n)
    return PictureRecord(
        sha256=sha(n),
        captured_at=EPOCH - timedelta(days=1) + timedelta(seconds=n),
        width_px=640,
        height_px=480,
        thumbnail=b"\xff\xd8" + n.to_bytes(8, "big"),
        innate_D=generator.normal(size=DIMS).astype(np.float16),
        learned_D={version: generator.normal(size=DIMS).astype(np.float16) for version in versions},
        location=location(uri or f"/pictures/{n}.jpg", source),
    )


def pictures(numbers: Iterable[int]) -> list[PictureRecord]:
    return [picture(n) for n in numbers]


def rejection(uri: str, sha256: str = "", reason: str = "cut off", source: str = "folder") -> RejectionRecord:
    return RejectionRecord(location(uri, source), sha256, EPOCH, reason)


def assign(
    kinds: Mapping[int, int | None], probability: float = 1.0, core: bool | Mapping[int, bool] = True
) -> Assignments:
    """Assignments of picture ids to cluster ids (None: unassigned)."""
    ids = list(kinds)
    cores = [core[i] if isinstance(core, Mapping) else core for i in ids]
    return Assignments(
        picture_N=np.array(ids, dtype=np.int64),
        cluster_N=np.array([-1 if kinds[i] is None else kinds[i] for i in ids], dtype=np.int64),
        probability_N=np.full(len(ids), probability, dtype=np.float32),
        core_N=np.array([c and kinds[i] is not None for i, c in zip(ids, cores, strict=True)], dtype=np.bool_),
    )


def round_of(
    kinds: Mapping[int, int | None],
    *,
    clusters: Iterable[ClusterRecord] | None = None,
    events: Iterable[Event] = (),
    through: int | None = None,
    version: int = 1,
    probability: float = 1.0,
    core: bool | Mapping[int, bool] = True,
    voters: Mapping[str, object] | None = None,
    near: Mapping[int, Sequence[tuple[int, float]]] | None = None,
) -> Clustering:
    """A round; without `clusters`, every kind that has members is active."""
    if clusters is None:
        clusters = [ClusterRecord(i, ClusterState.ACTIVE) for i in sorted({i for i in kinds.values() if i is not None})]
    return Clustering(
        encoder_version=version,
        through_picture=max(kinds, default=0) if through is None else through,
        window_size=len(kinds),
        seconds=0.1,
        parameters={"k": 15},
        clusters=tuple(clusters),
        assignments=assign(kinds, probability, core),
        events=tuple(events),
        voters=voters,
        near=near or {},
    )


def look_at(store: Store, picture_ids: Sequence[int]) -> None:
    """These pictures are the window, as a round would say."""
    with store._engine.begin() as connection:
        put_window(connection, picture_ids)
