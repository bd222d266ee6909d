"""What a round costs: a window of n pictures, a thousand in and a thousand out, beside clustering all from nothing.

    python -m benchmarks.clustering --n 5000,20000,50000,200000 --json
    python -m benchmarks.clustering --n 20000,50000 --data cifar10 --json

For each n, in a process of its own and with the same number of threads for all: `ours_full_s` is the first round of
the real clusterer but for the choice of its parameters (`grid_s`); `ours_after_1000_s` the median of ten rounds in
which a thousand pictures arrive and as many leave, each with what the round before said; `window_s` is the choice of
the window in it, and `window_million_s` that from an archive of a million; `worker_round_s` the median of three whole
rounds of the process (`ClusterWorker.round`) on SQLite, with reading, lineage and writing, for n up to `--worker`;
`hdbscan_s` (up to 20,000) and `fast_hdbscan_s` (warm) cluster the points of the same space from nothing; further rounds
and fast_hdbscan then take turns, since machines are faster at one time than at another, and `ratio_fast_hdbscan` is the
median share of its time, with the smallest and the largest. What it takes depends on `--min-samples`, which is the same
for all three.
`ours_after_1000_cpu_s` (mean) and `fast_hdbscan_cpu_s` are seconds of all cores, which depend less on what else runs.
`ari_to_hdbscan` is agreement of our tree on the grown graph with hdbscan on the same points, and `ari_after_rounds`
that after the ten rounds; `ari_diffused` is the same after diffusion, where the graph is still that of the points
before it. `ari_to_anew` is agreement, after the rounds, of the kinds with those of a clusterer that is given the same
window at once, and the same round before. n beyond `--window` is an archive of n of which a window is clustered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import faiss
import numpy as np
from hdbscan import HDBSCAN
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig
from agent.discovery import Setting, smallest, tree_neighbours
from agent.graph import Graph, diffuse, measured
from agent.observed import Observed
from agent.space import Points
from agent.tree import linkage, select, spanning_tree
from agent.window import choose_window
from storage.engine import open_engine
from storage.migrate import migrate
from storage.queries import Queries
from storage.records import Assignments, LocationRecord, PictureRecord
from storage.store import Store

DIMS, CENTRES, NOISE = 64, 40, 0.1
BATCH = 1_000
CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
EXACT_UP_TO = 20_000
MILLION = 1_000_000
WORKER_ROUNDS = 3
TURNS = 5
Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.child:
        options.min_samples = int(options.min_samples)
        print(json.dumps(measure(int(options.n), options)))
        return 0
    samples, counts = options.min_samples.split(","), options.n.split(",")
    found = [in_own_process(n, min_samples, options) for min_samples in samples for n in counts]
    print(json.dumps(found, indent=1) if options.json else "\n".join(_line(one) for one in found))
    return 0


def in_own_process(n: str, min_samples: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.clustering", "--child", "--n", n, "--min-samples", min_samples]
    for name in ("data", "rounds", "threads", "seed", "window", "worker", "cache"):
        command += [f"--{name}", str(vars(options)[name])]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


# -------------------------------------------------------------------- one n


def measure(n: int, options: argparse.Namespace) -> dict[str, Any]:
    """All figures of one n."""
    with threadpool_limits(1, user_api="blas"):  # as in the clusterer's process
        faiss.omp_set_num_threads(options.threads)  # afterwards, since the limit holds for faiss's own copy as well
        archive = SETS[options.data](n + BATCH * max(WORKER_ROUNDS, options.rounds + TURNS), options)
        stream = Stream(archive, n, _config(min(n, options.window), options), options.seed)
        full_s, grid_s = stream.first()
        before = stream.space_of_window()
        worked_s = time.process_time()
        after_s = [stream.next() for _ in range(options.rounds)]
        worked_s = time.process_time() - worked_s
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        after = stream.space_of_window()
        return {
            "n": n,
            "data": options.data,
            "window": stream.window,
            "threads": options.threads,
            "min_samples": options.min_samples,
            "ours_full_s": full_s,
            "ours_after_1000_s": round(statistics.median(after_s), 3),
            "ours_after_1000_spread_s": [round(min(after_s), 3), round(max(after_s), 3)],
            "ours_after_1000_cpu_s": round(worked_s / max(1, options.rounds), 3),
            "grid_s": grid_s,
            "window_s": stream.window_s(),
            "window_million_s": choice_of_window_s(MILLION, min(n, options.window), options.seed),
            "worker_round_s": worker_round_s(archive, n, options) if n <= options.worker else None,
            **others(before, after, options.threads),
            "ari_to_anew": stream.agreement_with_anew(),
            **in_turns(stream, before, options.threads),
            "setting": stream.setting.as_dict(),
            "k_ours": int(before.label_R.max()) + 1,
            "k_ours_diffused": int(before.label_diffused_R.max()) + 1,
            "peak_mb": round(peak_mb),
        }


class Stream:
    """An archive that grows by a thousand pictures a round, and the clusterer on a window of it."""

    def __init__(self, archive: Embedded, n: int, config: ClusterConfig, seed: int) -> None:
        self.window = config.window
        self._archive, self._config, self._seed, self._count = archive, config, seed, n
        self._key_N = np.random.default_rng([seed, 1]).integers(2**63, size=len(archive.ids_N), dtype=np.uint64)
        self._clusterer = Clusterer(config, np.random.default_rng(seed))
        self._before: Assignments | None = None

    @property
    def setting(self) -> Setting:
        """In use."""
        setting = self._clusterer.setting
        assert setting is not None
        return setting

    def first(self) -> tuple[float, float]:
        """Seconds of a round from nothing without the choice of parameters, and of the choice."""
        started = time.perf_counter()
        self._round()
        both_s = time.perf_counter() - started
        state = self._clusterer.state_dict()
        self._clusterer = Clusterer(self._config, np.random.default_rng(self._seed))
        self._clusterer.load_state_dict(state)
        self._before = None
        started = time.perf_counter()
        self._round()
        full_s = time.perf_counter() - started
        return round(full_s, 3), round(both_s - full_s, 3)

    def next(self) -> float:
        """Seconds of a round after a thousand more, the choice of the window included."""
        self._count += BATCH
        started = time.perf_counter()
        self._round()
        return time.perf_counter() - started

    def _round(self) -> NDArray[np.int64]:
        part = self._clusterer.fit(self._ids(), self._archive.of, 1, before=self._before, examine=False)
        self._before = Assignments(part.ids_N, part.label_N, part.probability_N, part.core_N)
        return part.label_N

    def window_s(self) -> float:
        """Seconds of the choice of the window, the shortest of three."""
        return min(timed(self._ids)[0] for _ in range(3))

    def _ids(self) -> NDArray[np.int64]:
        ids_N = self._archive.ids_N[: self._count]
        return choose_window(ids_N, self._key_N[: self._count], (), self.window)

    def space_of_window(self) -> Looked:
        """What the clusterer looks at now, and what it finds there."""
        observed = self._clusterer.observed
        assert observed is not None
        return Looked(observed, self.setting, self._config)

    def agreement_with_anew(self) -> float:
        """Agreement of the grown window's kinds with those found at once: another space, the same round before."""
        anew = Clusterer(self._config, np.random.default_rng(self._seed))
        anew.load_state_dict(self._clusterer.state_dict())
        label_N = anew.fit(self._ids(), self._archive.of, 1, before=self._before, examine=False).label_N
        return agreement_of(self._round(), label_N)


class Looked:
    """The window's points, and the labels that the tree on the grown graph gives them, before and after diffusion."""

    def __init__(self, observed: Observed, setting: Setting, config: ClusterConfig) -> None:
        bursts = observed.bursts
        near = bursts.graph().first(setting.k)
        graph = bursts.graph().first(max(setting.k, tree_neighbours(config.min_samples)))
        self.points_RD = observed.points_ND[bursts.row_R]
        self.diffused_RD = diffuse(self.points_RD, near.neighbour_NK, setting.diffusion)
        self.parameters: dict[str, Any] = {
            "min_cluster_size": smallest(setting, bursts.weight_R, config.min_size),
            "min_samples": config.min_samples,
            "cluster_selection_method": setting.selection,
        }
        self.label_R = self._labels(self.points_RD, graph)
        self.label_diffused_R = self._labels(self.diffused_RD, measured(self.diffused_RD, graph))

    def _labels(self, points_RD: Points, graph: Graph) -> NDArray[np.int64]:
        tree = linkage(spanning_tree(points_RD, graph, self.parameters["min_samples"]))
        flat = select(tree, self.parameters["min_cluster_size"], self.parameters["cluster_selection_method"])
        return flat.label_N

    def agreement_with_hdbscan(self, threads: int) -> tuple[float, float, int]:
        """Adjusted Rand index, seconds that hdbscan took and kinds that it found."""
        seconds, label_R = timed(lambda: self._hdbscan(self.points_RD, threads))
        return agreement_of(label_R, self.label_R), seconds, int(label_R.max()) + 1

    def agreement_after_diffusion(self, threads: int) -> float:
        """Adjusted Rand index."""
        return agreement_of(self._hdbscan(self.diffused_RD, threads), self.label_diffused_R)

    def _hdbscan(self, points_RD: Points, threads: int) -> NDArray[np.int64]:
        model = HDBSCAN(**self.parameters, approx_min_span_tree=False, core_dist_n_jobs=threads)
        return np.asarray(model.fit_predict(points_RD.astype(np.float64)), dtype=np.int64)


def others(before: Looked, after: Looked, threads: int) -> dict[str, Any]:
    """hdbscan and fast_hdbscan on the same points."""
    names = ("hdbscan_s", "ari_to_hdbscan", "ari_after_rounds", "ari_diffused", "k_hdbscan")
    found: dict[str, Any] = dict.fromkeys(names)
    if len(before.points_RD) <= EXACT_UP_TO:
        found["ari_to_hdbscan"], found["hdbscan_s"], found["k_hdbscan"] = before.agreement_with_hdbscan(threads)
        found["ari_after_rounds"] = after.agreement_with_hdbscan(threads)[0]
        found["ari_diffused"] = after.agreement_after_diffusion(threads)
    found["fast_hdbscan_s"], found["fast_hdbscan_cpu_s"] = fast_hdbscan_s(before, threads)
    return found


def in_turns(stream: Stream, looked: Looked, threads: int) -> dict[str, Any]:
    """A round and fast_hdbscan, each TURNS times: shares of its time."""
    shares = []
    for _ in range(TURNS):
        ours_s, (theirs_s, _) = stream.next(), fast_hdbscan_s(looked, threads)
        if theirs_s is not None:
            shares.append(round(ours_s / theirs_s, 3))
    if not shares:
        return dict.fromkeys(("ratio_fast_hdbscan", "ratio_fast_hdbscan_spread"))
    return {
        "ratio_fast_hdbscan": statistics.median(shares),
        "ratio_fast_hdbscan_spread": [min(shares), max(shares)],
    }


def _config(window: int, options: argparse.Namespace) -> ClusterConfig:
    return ClusterConfig(window=max(100, window), every=BATCH, min_samples=options.min_samples)


def choice_of_window_s(count: int, size: int, seed: int) -> float:
    """Seconds of choosing a window from an archive of `count`, the shortest of three."""
    rng = np.random.default_rng(seed)
    ids_N, key_N = np.arange(1, count + 1), rng.integers(2**63, size=count, dtype=np.uint64)
    exemplars = rng.choice(ids_N, 32 * CENTRES).tolist()
    return min(timed(lambda: choose_window(ids_N, key_N, exemplars, size))[0] for _ in range(3))


def worker_round_s(archive: Embedded, n: int, options: argparse.Namespace) -> float:
    """Seconds of a whole round of the process after a thousand more: n, window and data as elsewhere."""
    config = _config(min(n, options.window), options)
    with tempfile.TemporaryDirectory() as scratch:
        engine = open_engine(f"sqlite:///{Path(scratch) / 'taxon.db'}")
        migrate(engine)
        store = Store(engine)
        store.ensure_born({})
        for start in range(0, n, BATCH):
            add_pictures(store, archive, start, min(n, start + BATCH))
        clusterer = Clusterer(config, np.random.default_rng(options.seed))
        worker = ClusterWorker(clusterer, store, Queries(engine), config)
        worker.round("every")
        seconds = []
        for start in range(n, n + WORKER_ROUNDS * BATCH, BATCH):
            add_pictures(store, archive, start, start + BATCH)
            seconds.append(timed(lambda: worker.round("every"))[0])
    return statistics.median(seconds)


def add_pictures(store: Store, archive: Embedded, start: int, stop: int) -> None:
    """Without thumbnails."""
    now = datetime.now(UTC)
    store.add([
        PictureRecord(
            sha256=hashlib.sha256(n.to_bytes(8, "big")).hexdigest(),
            captured_at=now,
            width_px=640,
            height_px=480,
            thumbnail=b"",
            innate_D=archive.innate_ND[n].astype(np.float16),
            learned_D={},
            location=LocationRecord(f"/pictures/{n:08d}.jpg", "/pictures", 100_000, n),
        )
        for n in range(start, stop)
    ])  # fmt: skip


def agreement_of(one_N: NDArray[np.int64], other_N: NDArray[np.int64]) -> float:
    return round(float(adjusted_rand_score(one_N, other_N)), 4)


def fast_hdbscan_s(looked: Looked, threads: int) -> tuple[float | None, float | None]:
    """Seconds by the clock and of all cores, of the second of two runs, as the first compiles; None without it."""
    try:
        import fast_hdbscan
        import numba
    except ImportError:
        return None, None
    numba.set_num_threads(threads)
    fast_hdbscan.HDBSCAN(**looked.parameters).fit(looked.points_RD[:2_000])
    worked_s = time.process_time()
    seconds, _ = timed(lambda: fast_hdbscan.HDBSCAN(**looked.parameters).fit_predict(looked.points_RD))
    return seconds, round(time.process_time() - worked_s, 3)


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started = time.perf_counter()
    result = work()
    return round(time.perf_counter() - started, 4), result


# -------------------------------------------------------------------- data


def synthetic(count: int, options: argparse.Namespace) -> Embedded:
    """Overlapping kinds of unequal size, and a tenth of points that belong to none."""
    rng = np.random.default_rng(options.seed)
    centres = rng.normal(size=(CENTRES, DIMS)) * 0.13
    size_K = rng.dirichlet(np.full(CENTRES, 4.0))
    points = centres[rng.choice(CENTRES, count, p=size_K)] + 0.2 * rng.normal(size=(count, DIMS))
    astray = rng.random(count) < NOISE
    points[astray] = rng.normal(size=(int(astray.sum()), DIMS)) * 0.24
    return Embedded(np.arange(1, count + 1), points.astype(np.float16), None)


def separated(count: int, options: argparse.Namespace) -> Embedded:
    """Kinds that nothing lies between."""
    rng = np.random.default_rng(options.seed)
    centres = rng.normal(size=(CENTRES, DIMS))
    points = centres[rng.integers(CENTRES, size=count)] + 0.5 * rng.normal(size=(count, DIMS))
    return Embedded(np.arange(1, count + 1), points.astype(np.float16), None)


def cifar10(count: int, options: argparse.Namespace) -> Embedded:
    """Innate embeddings of CIFAR-10 in any order; there are 50,000, so that a window of all turns over by coming round.

    Those that come round are other pictures to the clusterer: a little is added to each.
    """
    from benchmarks.embeddings import innate_of

    vectors_ND, _ = innate_of("cifar10", 10, 5_000, options.seed, Path(options.cache))
    again_N = np.arange(count) % len(vectors_ND)
    rng = np.random.default_rng(options.seed)
    spread_D = vectors_ND.astype(np.float32).std(axis=0)
    jitter_ND = 0.2 * spread_D * rng.normal(size=(count, vectors_ND.shape[1])).astype(np.float32)
    return Embedded(np.arange(1, count + 1), (vectors_ND[again_N] + jitter_ND).astype(np.float16), None)


SETS: Mapping[str, Callable[[int, argparse.Namespace], Embedded]] = {
    "overlapping": synthetic, "separated": separated, "cifar10": cifar10,
}  # fmt: skip


def _line(found: Mapping[str, Any]) -> str:
    return (
        f"n {found['n']}, min_samples {found['min_samples']}: "
        f"{found['ours_full_s']} s at once, {found['ours_after_1000_s']} s after 1,000, "
        f"{found['worker_round_s']} s with reading and writing; window {found['window_s']} s; "
        f"hdbscan {found['hdbscan_s']} s, fast_hdbscan {found['fast_hdbscan_s']} s, "
        f"taking turns {found['ratio_fast_hdbscan']} of it {found['ratio_fast_hdbscan_spread']}; "
        f"ARI to hdbscan {found['ari_to_hdbscan']} and {found['ari_after_rounds']}, to anew {found['ari_to_anew']}; "
        f"{found['k_ours']} kinds (hdbscan {found['k_hdbscan']}), {found['peak_mb']} MB"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clustering", description=__doc__.splitlines()[0])
    parser.add_argument("--n", default="5000,20000,50000,200000", help="several with commas")
    parser.add_argument("--data", choices=tuple(SETS), default="overlapping")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", type=int, default=50_000)
    parser.add_argument("--worker", type=int, default=50_000, help="largest n with whole rounds of the process")
    parser.add_argument(
        "--min-samples", default=str(ClusterConfig().min_samples), help="of all three, several with commas"
    )
    parser.add_argument("--cache", default=str(CACHE), help="folder where embeddings are kept")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
