"""Whether it matters in which order a collection comes: mixed, or sorted, one class after the other.

    python -m benchmarks.arrival --json

What comes shortly after another and is far more alike than the rest is taken for a track (`agent.tracks`), and in a
sorted collection all that comes shortly after another is of one class. The real clusterer sees innate embeddings of
the default network; NMI, accuracy and the number of kinds, each for the two orders and for the sorted one without
tracks, are means over seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np
from numpy.typing import NDArray

from agent.config import Config
from benchmarks.discovery import kinds_at_once
from benchmarks.embeddings import innate_of
from benchmarks.metrics import Agreement
from benchmarks.selection import SETS

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
PER_CLASS = (15, 30, 60, 100)
WAYS = ("mixed", "sorted", "sorted_untracked")
FIGURES = ("nmi", "accuracy", "kinds")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    seeds = [int(seed) for seed in options.seed.split(",")]
    rows = [
        row_of(name, int(per_class), seeds)
        for name in options.set.split(",")
        for per_class in options.per_class.split(",")
    ]
    print(json.dumps(rows, indent=1) if options.json else "\n".join(map(str, rows)))
    return 0


def row_of(name: str, per_class: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Means over the seeds for so many pictures of each class."""
    runs = [dict(zip(WAYS, three_ways(name, per_class, seed), strict=True)) for seed in seeds]
    means = {
        f"{figure}_{way}": round(statistics.fmean(getattr(run[way], figure) for run in runs), 3)
        for figure in FIGURES
        for way in WAYS
    }
    return {"set": name, "classes": SETS[name][0], "per_class": per_class, "seeds": len(seeds), **means}


def three_ways(name: str, per_class: int, seed: int) -> list[Agreement]:
    """The same pictures mixed, sorted, and sorted without tracks."""
    innate_ND, label_N = innate_of(name, *SETS[name], seed, CACHE)
    sorted_N = by_class(label_N, per_class)
    mixed_N = np.random.default_rng(seed).permutation(sorted_N)
    config = Config().cluster
    untracked = config.model_copy(update={"track": 0.0})
    ways = ((config, mixed_N), (config, sorted_N), (untracked, sorted_N))
    return [kinds_at_once(settings, label_N[row_M], innate_ND[row_M], None, seed) for settings, row_M in ways]


def by_class(label_N: NDArray[np.int64], per_class: int) -> NDArray[np.int64]:
    """Rows of the first so many of each class, one class after the other."""
    return np.concatenate([np.flatnonzero(label_N == label)[:per_class] for label in np.unique(label_N)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arrival", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default=",".join(SETS), help="several with commas")
    parser.add_argument("--per-class", default=",".join(map(str, PER_CLASS)), help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
