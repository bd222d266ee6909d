"""A kind splits that has half a million members beyond the window: how long is the round, and who has to wait?

    python -m benchmarks.beyond --json
    python -m benchmarks.beyond --members 100000 --piece 100000000   # everyone within the round

A store of synthetic pictures of one kind, which comes apart in the window. Meanwhile a sender stores a picture every
tenth of a second, as a folder would. Seconds: of what the round does about pictures beyond the window (`round_s`,
`written_s`), of the pieces after it, and until a picture of the sender was acknowledged; `quiet_ack_s` before it all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent import beyond
from agent.beyond import Beyond, with_beyond
from agent.inquiries import after_round, as_values
from agent.lineage import LineageResult
from storage.engine import open_engine
from storage.migrate import migrate
from storage.queries import Queries
from storage.records import (
    Assignments,
    Clustering,
    ClusterRecord,
    ClusterState,
    Event,
    EventType,
    LocationRecord,
    PictureRecord,
)
from storage.store import Store

BATCH = 2_000
WINDOW = 50_000
EVERY_S = 0.1
QUIET_S = 5.0
ASSIGN = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    beyond.PIECE = options.piece
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(Path(scratch) / "taxon.db", options.members, options.dims)
    print(json.dumps(found, indent=1) if options.json else found)
    return 0


def measure(path: Path, members: int, dims: int) -> dict[str, Any]:
    """Figures of one split."""
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    store, queries = Store(engine), Queries(engine)
    pictures = Pictures(dims)
    one, other = fill(store, pictures, members)
    sender = Sender(store, pictures, members)
    sender.start()
    time.sleep(QUIET_S)
    quiet = sender.taken()
    window_N = np.sort(np.random.default_rng(0).permutation(members)[:WINDOW]) + 1
    inside = assigned(window_N, np.where(side(window_N), other, one))
    started = time.monotonic()
    result = LineageResult((), inside, (Event(EventType.SPLIT, one, (other,)),), {}, {})
    said, pending = with_beyond(inside, after_round((), result, members), queries, ASSIGN)
    round_s = time.monotonic() - started
    record = ClusterRecord(other, ClusterState.PROVISIONAL, parents=(one,))
    told = clustering(said, members, (record,), result.events)
    store.add_clustering(told, kept=as_values(pending), window=window_N.tolist())
    written_s = time.monotonic() - started - round_s
    pieces = in_pieces(Beyond(store, queries, ASSIGN))
    busy = sender.taken()
    sender.stop()
    moved = queries.said_members([other]).picture_N
    return {
        "members": members,
        "round_s": round(round_s, 2),
        "written_s": round(written_s, 2),
        "pieces": len(pieces),
        "piece_s": round(statistics.median(pieces), 2) if pieces else None,
        "longest_piece_s": round(max(pieces), 2) if pieces else None,
        "all_s": round(round_s + written_s + sum(pieces), 1),
        "quiet_ack_s": round(max(quiet), 2),
        "ack_s": round(statistics.median(busy), 2),
        "longest_ack_s": round(max(busy), 2),
        "right": round(float(np.mean(side(moved))), 4),
    }


def in_pieces(asking: Beyond) -> list[float]:
    """Seconds of each."""
    pieces: list[float] = []
    while True:
        started = time.monotonic()
        if not asking.step():
            return pieces
        pieces.append(time.monotonic() - started)


def fill(store: Store, pictures: Pictures, members: int) -> tuple[int, int]:
    """Everyone into one kind; that one, and an id for what will split off."""
    store.ensure_born({})
    for start in range(0, members, BATCH):
        store.add([pictures.record(n) for n in range(start + 1, min(start + BATCH, members) + 1)])
    one, other = store.allocate_clusters(2)
    everyone_N = np.arange(members) + 1
    record = ClusterRecord(one, ClusterState.ACTIVE)
    events = (Event(EventType.EMERGED, one),)
    store.add_clustering(clustering(assigned(everyone_N, np.full(members, one)), members, (record,), events))
    return one, other


def side(ids_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether these pictures are of the part that splits off."""
    return np.asarray(ids_N % 3 == 0)


def assigned(ids_N: NDArray[np.int64], kind_N: NDArray[np.int64]) -> Assignments:
    count = len(ids_N)
    return Assignments(ids_N, kind_N, np.ones(count, dtype=np.float32), np.zeros(count, dtype=np.bool_))


def clustering(
    said: Assignments, through: int, records: tuple[ClusterRecord, ...], events: tuple[Event, ...]
) -> Clustering:
    return Clustering(1, through, WINDOW, 0.0, {}, records, said, events)


class Pictures:
    """Two clouds of vectors (D,), without thumbnails."""

    def __init__(self, dims: int) -> None:
        rng = np.random.default_rng(0)
        self._centre_2D = rng.normal(size=(2, dims))
        self._around_ND = rng.normal(size=(BATCH, dims))

    def record(self, n: int) -> PictureRecord:
        """Picture number n, which gets that id if they come in order."""
        here = int(side(np.array([n]))[0])
        return PictureRecord(
            sha256=hashlib.sha256(n.to_bytes(8, "big")).hexdigest(),
            captured_at=datetime.now(UTC),
            width_px=640,
            height_px=480,
            thumbnail=b"",
            innate_D=(self._centre_2D[here] + self._around_ND[n % BATCH]).astype(np.float16),
            learned_D={},
            location=LocationRecord(f"/pictures/{n:08d}.jpg", "/pictures", 100_000, n),
        )


class Sender(threading.Thread):
    """Stores a picture now and then, and remembers how long each took."""

    def __init__(self, store: Store, pictures: Pictures, after: int) -> None:
        super().__init__(daemon=True)
        self._store, self._pictures, self._last = store, pictures, after
        self._seconds: list[float] = []
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._last += 1
            started = time.monotonic()
            self._store.add([self._pictures.record(self._last)])
            self._seconds.append(time.monotonic() - started)

    def taken(self) -> list[float]:
        """Seconds of each since the last call."""
        seconds, self._seconds = self._seconds, []
        return seconds

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beyond", description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=500_000, help="of the kind, the window included")
    parser.add_argument("--dims", type=int, default=576, help="of the innate embedding")
    parser.add_argument("--piece", type=int, default=beyond.PIECE, help="members at a time")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
