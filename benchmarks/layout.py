"""Whether the map stays put, at what price, and what making it costs.

    python -m benchmarks.layout --json
    python -m benchmarks.layout --set digits --seed 0 --sizes '' --json

`streams`: the stream of `benchmarks.world` (real pictures; classes arrive, leave and return, ten encoder versions
are published) through the agent's own window and map, round after round. In every EVERYth round a map is also made
from nothing, and laid upon the map before as well as can be.

* `moved`: median way of the pictures that were on the map before, as a share of its extent; median over rounds without
  a publication. `moved_published`: over those with one. `moved_scratch`: of the maps from nothing.
* `trust`, `trust_scratch`: trustworthiness (Venna and Kaski 2001; 15 neighbours) of the map that was continued all
  along, and of those from nothing, in the space of the round; mean.
* `trust_last`, `trust_umap`: at the last round, of the continued map and of umap-learn's on the same graph with its own
  defaults (extra `bench`; null without).

`sizes`: seconds of a first map and of the next one on innate embeddings of CIFAR-10, the longest piece that cannot be
interrupted, and umap-learn's seconds on the same graph once it is compiled. `start`: what a new process pays before its
first map, of 500 points, is made: seconds and memory, beyond numpy, scipy, scikit-learn and faiss, which it has anyway.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray
from sklearn.manifold import trustworthiness
from threadpoolctl import threadpool_limits

from agent.alignment import alignment
from agent.clusterer import Embedded
from agent.config import ClusterConfig
from agent.graph import Graph, neighbour_graph
from agent.layout import K, Layout
from agent.observed import Observed
from agent.space import Points, fit_space, unit
from benchmarks.embeddings import innate_of
from benchmarks.world import World

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
EVERY = 6
TOLD = ("moved", "moved_published", "moved_scratch", "trust", "trust_scratch")
TRUSTED = 2_000
"""Pictures of which trustworthiness is measured, drawn from the map: it takes the square of their number."""

NEIGHBOURS = 15
FITTED = 4_096
"""Rows to which the space of a large window is fitted."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.start:
        print(json.dumps(first_map(options.start)))
        return 0
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):  # as the clusterer's process is by default
        sizes = [told(one_size(int(n))) for n in split(options.sizes)]
        start = {by: in_new_process(by) for by in ("agent", "umap-learn")} if sizes else {}
        streams = [told(one_stream(name, int(seed))) for name in split(options.set) for seed in split(options.seed)]
    found = {"streams": streams, "sizes": sizes, "start": start}
    print(json.dumps(found, indent=1) if options.json else "\n".join(map(str, [*streams, *sizes, start])))
    return 0


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Says on the way how far it is."""
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def split(listed: str) -> list[str]:
    return [one for one in listed.split(",") if one]


# -------------------------------------------------------------------- streams


class Stream:
    """One stream, and the map that goes on with it."""

    def __init__(self, name: str, seed: int) -> None:
        self._world = World(name, seed)
        self._config = ClusterConfig()
        self._rng = np.random.default_rng(seed)
        self._observed: Observed | None = None
        self._place_of: dict[int, Points] = {}
        self.told: dict[str, list[float]] = {key: [] for key in TOLD}
        self.last: tuple[Points, Graph, Points] | None = None

    def through(self) -> None:
        """All rounds."""
        world, version = self._world, 1
        innate_ND, learned_ND = world.innate(), world.learned(1)
        arrived_N = np.empty(0, dtype=np.int64)
        for number, part_N in enumerate(world.arrivals()):
            arrived_N = np.sort(np.concatenate([arrived_N, part_N]))
            published = number in world.publication_rounds
            if published:
                version += 1
                learned_ND = world.learned(version)
            learned_MD = None if learned_ND is None else learned_ND[arrived_N]
            observed = self._look(Embedded(arrived_N, innate_ND[arrived_N], learned_MD), version)
            self._round(observed, "moved_published" if published else "moved", measured=number % EVERY == EVERY - 1)

    def _look(self, window: Embedded, version: int) -> Observed:
        """As `agent.clusterer` does."""
        if self._observed is not None and self._observed.serves(window.ids_N, version):
            self._observed.become(window.ids_N, window.of)
        else:
            self._observed = Observed(window, version, self._config, self._rng)
        return self._observed

    def _round(self, observed: Observed, moved: str, measured: bool) -> None:
        row_R = observed.bursts.row_R
        points_RP, graph, ids_R = observed.points_ND[row_R], observed.bursts.graph(), observed.ids_N[row_R]
        nowhere = np.full(2, np.nan, dtype=np.float32)
        known_R2 = np.array([self._place_of.get(i, nowhere) for i in ids_R.tolist()], dtype=np.float32)
        place_R2 = made(points_RP, graph, known_R2, self._rng)
        if self._place_of:
            self.told[moved].append(displacement(known_R2, place_R2))
        if measured:
            scratch_R2 = made(points_RP, graph, np.full_like(known_R2, np.nan), self._rng)
            self.told["moved_scratch"].append(displacement(known_R2, scratch_R2))
            self.told["trust"].append(trust(points_RP, place_R2))
            self.told["trust_scratch"].append(trust(points_RP, scratch_R2))
        self._place_of = dict(zip(ids_R.tolist(), place_R2, strict=True))
        self.last = points_RP, graph, place_R2


def made(points_NP: Points, graph: Graph, known_N2: Points, rng: np.random.Generator) -> Points:
    """A map from its beginning to its end."""
    layout = Layout(points_NP, graph, known_N2, rng)
    while layout.step():
        pass
    return layout.places()


def displacement(before_N2: Points, after_N2: Points) -> float:
    """Median way of what was on the map before, after the best alignment, as a share of its extent then."""
    known_N = ~np.isnan(before_N2[:, 0])
    before_M2, after_M2 = before_N2[known_N], after_N2[known_N]
    after_M2 = alignment(after_M2, before_M2).moved(after_M2)
    return float(np.median(np.linalg.norm(after_M2 - before_M2, axis=1)) / np.ptp(before_M2, axis=0).max())


def trust(points_NP: Points, place_N2: Points) -> float:
    """Trustworthiness on a sample that depends on the number of points alone."""
    row_M = np.random.default_rng(0).permutation(len(points_NP))[:TRUSTED]
    return float(trustworthiness(points_NP[row_M], place_N2[row_M], n_neighbors=NEIGHBOURS))


def one_stream(name: str, seed: int) -> dict[str, Any]:
    """A stream from its beginning to its end."""
    stream = Stream(name, seed)
    stream.through()
    assert stream.last is not None
    points_RP, graph, place_R2 = stream.last
    by_umap = reference(points_RP, graph)
    return {
        "set": name,
        "seed": seed,
        "observations": len(points_RP),
        **{
            key: round(statistics.fmean(v) if "trust" in key else statistics.median(v), 4)
            for key, v in stream.told.items()
        },
        "trust_last": round(trust(points_RP, place_R2), 4),
        "trust_umap": None if by_umap is None else round(trust(points_RP, by_umap), 4),
    }


# -------------------------------------------------------------------- sizes


def one_size(count: int) -> dict[str, Any]:
    """Seconds of maps of so many pictures."""
    vectors_ND, _ = innate_of("cifar10", 10, 5_000, 0, CACHE)
    points_NP = projected(vectors_ND[:count])
    graph = neighbour_graph(points_NP, 30)
    first_s, longest_s, place_N2 = timed(points_NP, graph, np.full((count, 2), np.nan, dtype=np.float32))
    next_s, longest_next_s, _ = timed(points_NP, graph, place_N2)
    reference(points_NP[:500], neighbour_graph(points_NP[:500], K))  # compiles
    started = time.perf_counter()
    by_umap = reference(points_NP, graph)
    umap_s = None if by_umap is None else round(time.perf_counter() - started, 1)
    longest_s = max(longest_s, longest_next_s)
    return {
        "n": count, "first_s": round(first_s, 1), "next_s": round(next_s, 1), "longest_s": round(longest_s, 2),
        "umap_s": umap_s,
    }  # fmt: skip


def projected(vectors_ND: NDArray[np.float16]) -> Points:
    space = fit_space(vectors_ND[:FITTED], None, ClusterConfig().dims)
    parts = [space.project(vectors_ND[start : start + 1_000], None) for start in range(0, len(vectors_ND), 1_000)]
    return np.concatenate(parts)


def timed(points_NP: Points, graph: Graph, known_N2: Points) -> tuple[float, float, Points]:
    """Seconds in all, those of the longest piece, and the map."""
    started = begun = time.perf_counter()
    layout = Layout(points_NP, graph, known_N2, np.random.default_rng(0))
    longest_s, more = 0.0, True
    while more:
        now = time.perf_counter()
        longest_s, begun = max(longest_s, now - begun), now
        more = layout.step()
    return time.perf_counter() - started, longest_s, layout.places()


def reference(points_NP: Points, graph: Graph) -> Points | None:
    """umap-learn's map on the same graph; None where it is not installed."""
    try:
        from umap.umap_ import UMAP
    except ImportError:
        return None
    row_NK = np.hstack([np.arange(len(points_NP))[:, None], graph.neighbour_NK[:, :K]])
    distance_NK = np.hstack([np.zeros((len(points_NP), 1), dtype=np.float32), graph.distance_NK[:, :K]])
    model = UMAP(
        n_neighbors=K + 1, precomputed_knn=(row_NK, distance_NK, None), force_approximation_algorithm=True,
        random_state=0, n_jobs=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it cannot place more points later
        place_N2: Points = model.fit_transform(points_NP)
    return place_N2


def in_new_process(by: str) -> dict[str, float] | None:
    """Seconds and memory until a first small map is there; None where that is not installed."""
    command = [sys.executable, "-m", "benchmarks.layout", "--start", by]
    found: dict[str, float] | None = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def first_map(by: str) -> dict[str, float] | None:
    """To be called in a new process."""
    points_NP = unit(np.random.default_rng(0).normal(size=(500, 64)))
    graph = neighbour_graph(points_NP, 30)
    process = psutil.Process()
    started, before = time.perf_counter(), process.memory_info().rss
    if by == "agent":
        timed(points_NP, graph, np.full((500, 2), np.nan, dtype=np.float32))
    elif reference(points_NP, graph) is None:
        return None
    grown_mb = (process.memory_info().rss - before) / 1e6
    return {"s": round(time.perf_counter() - started, 1), "mb": round(grown_mb)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layout", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="digits,tiny20", help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--sizes", default="5000,20000,50000", help="pictures; several with commas")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
