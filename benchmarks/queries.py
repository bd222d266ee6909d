"""Every documented question, asked of a million pictures: how long each takes, and what the history weighs.

    python -m benchmarks.queries --json
    python -m benchmarks.queries --pictures 100000 --rounds 30 --events 1000

Fills a store through its write door (pictures without thumbnails and vectors, rounds that bring new pictures and change
some old ones, events, encoder versions), then asks. `queries_ms` are medians of warm calls; what lists without end is
read up to its first LIMIT rows. `growth` is what a round that changes nothing adds, in rows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from storage.answers import Answers
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

PAGE = Path(__file__).resolve().parent.parent / "docs" / "history.md"
LIMIT = 100
REPEATS = 7
BATCH = 2_000
SPAN = timedelta(days=30)
"""Over which all happened, up to now."""

UNASSIGNED, CHANGED = 0.1, 1_500
"""Share of new pictures without a kind, and old pictures that a round moves."""

VERSION_EVERY = 30
TOLD = (EventType.EMERGED, EventType.CONFIRMED, EventType.SPLIT, EventType.DORMANT, EventType.REVIVED)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(options.database or Path(scratch) / "taxon.db")
        result = measure(path, options)
    print(json.dumps(result, indent=1) if options.json else _table(result))
    return 0


def measure(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Figures of a store at `path`, which is filled unless it is there already."""
    url = f"sqlite:///{path}"
    if not path.exists():
        engine = open_engine(url)
        migrate(engine)
        Filling(engine, options.pictures, options.rounds, options.events, options.seed).all()
    engine = open_engine(url)
    rows = {
        name: _count(engine, name) for name in ("pictures", "clusterings", "events", "assignments", "cluster_rounds")
    }
    growth = quiet_round(engine)
    queries_ms = asked(url)
    return {
        "rows": rows,
        "growth": growth,
        "bytes_per_picture": round(path.stat().st_size / rows["pictures"]),
        "queries_ms": queries_ms,
        "slowest_ms": max(queries_ms.values()),
    }


# -------------------------------------------------------------------- filling


class Filling:
    """A store as months of running would leave it, but for thumbnails and vectors."""

    def __init__(self, engine: Engine, pictures: int, rounds: int, events: int, seed: int) -> None:
        self._now = datetime.now(UTC) - SPAN
        self._store = Store(engine, lambda: self._now)
        self._rng = np.random.default_rng(seed)
        self._each, self._rounds, self._told = pictures // rounds, rounds, events // rounds
        self._kinds: list[int] = []
        self._stored = 0

    def all(self) -> None:
        """Fill it."""
        self._store.ensure_born({})
        version = 1
        for number in range(self._rounds):
            self._now += SPAN / self._rounds
            new_N = self._arrive()
            if number % VERSION_EVERY == VERSION_EVERY - 1:
                version = self._store.begin_version(f"version-{number}", {})
                self._store.publish_version(version)
            self._store.add_clustering(self._round(number, new_N, version))

    def _arrive(self) -> NDArray[np.int64]:
        first = self._stored
        for start in range(first, first + self._each, BATCH):
            stop = min(start + BATCH, first + self._each)
            self._store.add([self._picture(n) for n in range(start, stop)])
        self._stored += self._each
        return np.arange(first + 1, self._stored + 1)

    def _picture(self, n: int) -> PictureRecord:
        return PictureRecord(
            sha256=hashlib.sha256(n.to_bytes(8, "big")).hexdigest(),
            captured_at=self._now - timedelta(seconds=self._rng.uniform(0, 8_000)),
            width_px=640,
            height_px=480,
            thumbnail=b"",
            innate_D=np.empty(0, dtype=np.float16),
            learned_D={},
            location=LocationRecord(f"/pictures/{n // 1_000:04d}/{n:08d}.jpg", "/pictures", 100_000, n),
        )

    def _round(self, number: int, new_N: NDArray[np.int64], version: int) -> Clustering:
        if number % 3 == 0:
            self._kinds += list(self._store.allocate_clusters(5 if number == 0 else 1))
        recent = np.arange(max(1, int(new_N[0]) - 50_000), int(new_N[0]))
        changed = np.sort(self._rng.choice(recent, min(CHANGED, len(recent)), replace=False))
        picture_N = np.concatenate([changed, new_N])
        cluster_N = self._rng.choice(self._kinds, len(picture_N))
        cluster_N[self._rng.random(len(picture_N)) < UNASSIGNED] = -1
        probability_N = self._rng.uniform(0.3, 1, len(picture_N)).astype(np.float32)
        assigned = Assignments(picture_N, cluster_N, probability_N, probability_N > 0.6)
        return Clustering(
            encoder_version=version,
            through_picture=int(new_N[-1]),
            window_size=50_000,
            seconds=1.0,
            parameters={},
            clusters=tuple(self._record(kind, new_N) for kind in self._kinds),
            assignments=assigned,
            events=tuple(self._event() for _ in range(self._told)),
        )

    def _record(self, kind: int, new_N: NDArray[np.int64]) -> ClusterRecord:
        exemplars = tuple(sorted(self._rng.choice(new_N, 32, replace=False).tolist()))
        return ClusterRecord(kind, ClusterState.ACTIVE, exemplars=exemplars, last_new_picture=int(new_N[-1]))

    def _event(self) -> Event:
        kinds = self._rng.choice(self._kinds, 2, replace=False).tolist()
        kind = TOLD[self._rng.integers(len(TOLD))]
        return Event(kind, kinds[0], tuple(kinds[1:]) if kind is EventType.SPLIT else ())


def quiet_round(engine: Engine) -> dict[str, int]:
    """Rows that a round adds which changes nothing, but measures all kinds anew."""
    names = ("assignments", "events", "cluster_rounds", "clusterings", "revisions")
    before = {name: _count(engine, name) for name in names}
    with engine.connect() as connection:
        through = connection.execute(text("SELECT MAX(id) FROM pictures")).scalar_one()
        version = connection.execute(text("SELECT MAX(version) FROM encoder_versions")).scalar_one()
    nothing = np.empty(0, dtype=np.int64)
    assigned = Assignments(nothing, nothing, np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_))
    measured = tuple(replace(kind, statistics={"cohesion": 0.5}) for kind in Queries(engine).living_clusters())
    Store(engine).add_clustering(Clustering(version, through, 50_000, 1.0, {}, measured, assigned, ()))
    return {name: _count(engine, name) - before[name] for name in names}


def _count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one())


# -------------------------------------------------------------------- asking


def asked(url: str) -> dict[str, float]:
    """Median milliseconds of each question."""
    engine = open_engine(url, read_only=True)
    return {name: _median_ms(ask) for name, ask in {**commands(Answers(engine)), **documented(engine)}.items()}


def commands(answers: Answers) -> dict[str, Callable[[], object]]:
    """What the reading verbs ask."""
    day, noon = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) - SPAN / 2
    week = datetime.now(UTC) - timedelta(days=7)
    sha256, version = answers.pictures(limit=1)[0].sha256, answers.status().encoder_version
    return {
        "status": answers.status,
        "clusters": answers.clusters,
        "clusters --as-of": lambda: answers.clusters(as_of=noon),
        "cluster 7": lambda: answers.cluster(7),
        "cluster 7 --as-of": lambda: answers.cluster(7, as_of=noon),
        "history --limit": lambda: answers.history(limit=LIMIT),
        "history --since": lambda: answers.history(since=day),
        "history --type": lambda: answers.history(type="split", since=week),
        "history --cluster": lambda: answers.history(cluster=7),
        "pictures --limit": lambda: answers.pictures(limit=LIMIT),
        "pictures --cluster": lambda: answers.pictures(cluster=7, limit=LIMIT),
        "pictures --unassigned": lambda: answers.pictures(unassigned=True, limit=LIMIT),
        "pictures --since": lambda: answers.pictures(since=day, limit=LIMIT),
        "pictures --as-of": lambda: answers.pictures(limit=LIMIT, as_of=noon),
        "picture": lambda: answers.picture(sha256),
        "changes --since": lambda: answers.changes(since=day, limit=LIMIT),
        "changes --encoder": lambda: answers.changes(encoder_version=version, limit=LIMIT),
    }


def documented(engine: Engine) -> dict[str, Callable[[], object]]:
    """The SQL of `docs/history.md`, with a time and a picture that there are."""
    with engine.connect() as connection:
        sha256 = connection.execute(text("SELECT sha256 FROM pictures ORDER BY id LIMIT 1")).scalar_one()
    noon = datetime.now(UTC) - SPAN / 2
    page = PAGE.read_text().replace("2026-11-23 12:00:00", f"{noon:%Y-%m-%d %H:%M:%S}").replace("1f0c9a41", sha256[:8])
    questions = re.findall(r"## (\d+)\. ([^\n]+)\n.*?```sql\n(.*?)```", page, flags=re.DOTALL)

    def ask(statement: str) -> Callable[[], object]:
        def rows() -> object:
            with engine.connect() as connection:
                return connection.exec_driver_sql(statement).fetchmany(LIMIT)

        return rows

    return {f"SQL {number}: {title}": ask(statement) for number, title, statement in questions}


def _median_ms(ask: Callable[[], object]) -> float:
    ask()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        ask()
        taken.append(1_000 * (time.perf_counter() - started))
    return round(statistics.median(taken), 1)


def _table(result: dict[str, Any]) -> str:
    lines = [f"{ms:8.1f} ms  {name}" for name, ms in sorted(result["queries_ms"].items(), key=lambda item: -item[1])]
    return "\n".join(
        [*lines, f"{result['bytes_per_picture']} bytes a picture, rows {result['rows']}", str(result["growth"])]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queries", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", default=None, help="keep it here, or ask one that is there")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
