"""How often one cloud is taken for several kinds, and how deep the valleys in it are.

    python -m benchmarks.valleys --json

Gaussian clouds of 60 to 800 points in 4 to 64 dimensions, each of which is one kind, go through the default setting's
tree and selection. For each size: `several`, the share of clouds that the real clusterer takes for more than one kind;
and the separation of what was selected, median, nine in ten and worst, with the density looked at in the half of the
members that the line was not drawn through (`separation`), and in the very members (`separation_same`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np

from agent.choice import grid
from agent.clusterer import Clusterer, Embedded
from agent.config import Config
from agent.discovery import discover, wanted
from agent.graph import neighbour_graph
from agent.observations import Observations
from agent.score import along, axis, separation
from agent.space import Points, fit_space

SIZES, DIMS = (60, 120, 200, 400, 800), (4, 8, 16, 32, 64)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.valleys", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8, help="clouds of each size and width")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = [of_size(size, options.seeds) for size in SIZES]
    print(json.dumps(found, indent=1) if options.json else "\n".join(map(str, found)))
    return 0


def of_size(size: int, seeds: int) -> dict[str, Any]:
    clouds = [cloud(size, dims, seed) for dims in DIMS for seed in range(seeds)]
    both = [separations(points_ND) for points_ND in clouds]
    return {
        "points": size,
        "clouds": len(clouds),
        "several": round(statistics.fmean(kinds_of(points_ND) > 1 for points_ND in clouds), 3),
        "separation": spread([one for one, _ in both]),
        "separation_same": spread([other for _, other in both]),
    }


def cloud(size: int, dims: int, seed: int) -> Points:
    return np.random.default_rng([seed, size, dims]).normal(size=(size, dims)).astype(np.float32)


def kinds_of(points_ND: Points) -> int:
    """What the real clusterer makes of it."""
    ids_N = np.arange(1, len(points_ND) + 1)
    read = Embedded(ids_N, points_ND.astype(np.float16), None).of
    part = Clusterer(Config().cluster, np.random.default_rng(0)).fit(ids_N, read, 1, examine=False)
    return len(set(part.label_N.tolist()) - {-1})


def separations(points_ND: Points) -> tuple[float, float]:
    """Of what the default setting selects, by the other half of the members and by the very members."""
    config = Config().cluster
    setting = grid(config.k, config.diffusion, config.selection, config.min_cluster_size)[0]
    points_ND = fit_space(points_ND, None, config.dims).project(points_ND, None)
    graph = neighbour_graph(points_ND, wanted(config.min_samples))
    weight_N = np.ones(len(points_ND), dtype=np.int64)
    kinds = discover(Observations(points_ND, weight_N, config.min_samples, config.min_size), graph, setting)
    groups = [points_ND[kinds.label_N == kind] for kind in range(kinds.count)]
    same = [along(axis(one, other), one, other) for one, other in combinations(groups, 2)]
    return separation(points_ND, kinds.label_N, kinds.count), 1 - statistics.median(same) if same else 0.0


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 2),
        "nine_in_ten": round(float(np.quantile(values, 0.9)), 2),
        "worst": round(max(values), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
