"""How good a choice of parameters without labels is: against the best of the grid, and against fixed defaults.

    python -m benchmarks.selection --json
    python -m benchmarks.selection --set digits,glyphs --seed 0

For each set the real clusterer sees innate embeddings of the default network, once with every single setting of the
grid and once free to choose. `regret` is how much NMI the choice falls short of the best setting, which nobody without
labels can know; `fixed` is FIXED, the setting that was chosen most often when the grid was made.
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

from agent.choice import grid
from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig, Config
from agent.discovery import Setting
from benchmarks.embeddings import innate_of
from benchmarks.metrics import agreement

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
SETS = {"digits": (10, 170), "glyphs": (10, 100), "beads": (10, 100), "tiny20": (20, 200), "cifar10": (10, 300)}
FIXED = Setting(k=30, diffusion=8, selection="eom", min_cluster_size=0.8)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    runs = [one_set(name, int(seed)) for name in options.set.split(",") for seed in options.seed.split(",")]
    regret = {key: round(statistics.fmean(run[key] for run in runs), 4) for key in ("regret", "regret_fixed")}
    worst = {f"worst_{key}": max(run[key] for run in runs) for key in ("regret", "regret_fixed")}
    result = {**regret, **worst, "runs": runs}
    print(json.dumps(result, indent=1) if options.json else "\n".join([*map(_line, runs), str({**regret, **worst})]))
    return 0


def one_set(name: str, seed: int) -> dict[str, Any]:
    """Agreement with the hidden classes by choice, at best and by default."""
    vectors_ND, label_N = innate_of(name, *SETS[name], seed, CACHE)
    config = Config().cluster
    tried = {
        setting: scored(only(config, setting), vectors_ND, label_N, seed)[0]
        for setting in grid(config.k, config.diffusion, config.selection, config.min_cluster_size)
    }
    best = max(tried, key=lambda setting: tried[setting])
    nmi, kinds, setting = scored(config, vectors_ND, label_N, seed)
    return {
        "set": name,
        "seed": seed,
        "classes": SETS[name][0],
        "nmi": round(nmi, 4),
        "kinds": kinds,
        "nmi_best": round(tried[best], 4),
        "nmi_fixed": round(tried[FIXED], 4),
        "nmi_median": round(statistics.median(tried.values()), 4),
        "regret": round(tried[best] - nmi, 4),
        "regret_fixed": round(tried[best] - tried[FIXED], 4),
        "chosen": setting.as_dict() if setting else None,
        "best": best.as_dict(),
    }


def only(config: ClusterConfig, setting: Setting) -> ClusterConfig:
    """With a grid of one."""
    single = {name: (value,) for name, value in setting.as_dict().items()}
    return config.model_copy(update=single)


def scored(
    config: ClusterConfig, vectors_ND: NDArray[np.float16], label_N: NDArray[np.int64], seed: int
) -> tuple[float, int, Setting | None]:
    """NMI, kinds found and the setting."""
    clusterer = Clusterer(config, np.random.default_rng(seed))
    ids_N = np.arange(len(label_N))
    partition = clusterer.fit(ids_N, Embedded(ids_N, vectors_ND, None).of, 1, examine=False)
    found = agreement([str(label) for label in label_N], partition.label_N.tolist())
    return found.nmi, found.kinds, clusterer.setting


def _line(run: dict[str, Any]) -> str:
    return (
        f"{run['set']} {run['seed']}: NMI {run['nmi']:.3f} ({run['kinds']} kinds of {run['classes']}), best "
        f"of the grid {run['nmi_best']:.3f}, fixed {run['nmi_fixed']:.3f}, median {run['nmi_median']:.3f}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default=",".join(SETS), help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
