"""How good a choice of parameters without labels is: against the best of the grid, and against fixed defaults.

    python -m benchmarks.selection --json
    python -m benchmarks.selection --set digits,glyphs --seed 0

For each set, whole and with few pictures a class (`--per-class`, classes of unequal size), the real clusterer sees
innate embeddings of the default network, with every single setting of GRID and in four ways: by the default
configuration from nothing (`chosen`) and after it had chosen for the first half of the pictures (`again`); by
silhouette and stability alone, out of all of GRID (`score`); and by one setting for all (`fixed`, the first of the
default grid). `regret_*` is how much NMI each falls short of the best setting, which nobody without labels can know,
and `accuracy_regret_*` the same of accuracy, since NMI likes many small kinds; at the top stand the mean over all sets,
each counting the same, and the worst of all runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np
from numpy.typing import NDArray

from agent.choice import grid, score_settings
from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig, Config
from agent.discovery import Setting
from agent.observations import Observations
from agent.observed import Observed
from benchmarks.embeddings import innate_of
from benchmarks.metrics import Agreement, agreement
from storage.records import Assignments

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
SETS = {"digits": (10, 170), "glyphs": (10, 100), "beads": (10, 100), "tiny20": (20, 200), "cifar10": (10, 300)}
PER_CLASS = (15, 30, 60, 0)
"""0: all that are at hand."""
ARMS = ("chosen", "again", "score", "fixed")
REGRETS = tuple(f"{key}_{arm}" for key in ("regret", "accuracy_regret") for arm in ARMS)
GRID = grid((8, 15, 30), (2, 8), ("eom", "leaf"), (0.3, 0.6, 1.0))
FEWEST, UNEQUAL = 4, 2.0
"""Pictures of a class at least, and the concentration of the Dirichlet distribution of their shares."""
FIXED = Setting(k=8, diffusion=8, selection="eom", min_cluster_size=0.6)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    wanted = product(options.set.split(","), options.per_class.split(","), options.seed.split(","))
    runs = [one_set(name, int(per_class), int(seed)) for name, per_class, seed in wanted]
    summary = {**means(runs), **{f"worst_{key}": max(run[key] for run in runs) for key in REGRETS}}
    result = {**summary, "runs": runs}
    print(json.dumps(result, indent=1) if options.json else "\n".join([*map(_line, runs), str(summary)]))
    return 0


def one_set(name: str, per_class: int, seed: int) -> dict[str, Any]:
    """Agreement with the hidden classes by choice, at best and by default."""
    vectors_ND, label_N = drawn(name, per_class, seed)
    config = Config().cluster
    tried = {setting: found(only(config, setting), vectors_ND, label_N, seed, [len(label_N)])[0] for setting in GRID}
    best = max(tried, key=lambda setting: tried[setting].nmi)
    chosen, setting = found(config, vectors_ND, label_N, seed, [len(label_N)])
    again, setting_again = found(config, vectors_ND, label_N, seed, [len(label_N) // 2, len(label_N)])
    by_score = by_score_alone(vectors_ND, config, seed)
    arms = {"chosen": chosen, "again": again, "score": tried[by_score], "fixed": tried[FIXED]}
    return {
        "set": name,
        "seed": seed,
        "pictures": len(label_N),
        "classes": SETS[name][0],
        "nmi": round(chosen.nmi, 4),
        "kinds": chosen.kinds,
        "kinds_again": again.kinds,
        "nmi_best": round(tried[best].nmi, 4),
        "nmi_median": round(statistics.median(one.nmi for one in tried.values()), 4),
        **regrets(arms, list(tried.values())),
        "chosen": setting.as_dict() if setting else None,
        "again": setting_again.as_dict() if setting_again else None,
        "score": by_score.as_dict(),
        "best": best.as_dict(),
    }


def drawn(name: str, per_class: int, seed: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Embeddings and classes in any order; with `per_class` so many of each on the average, of some many more."""
    vectors_ND, label_N = innate_of(name, *SETS[name], seed, CACHE)
    rng = np.random.default_rng([seed, per_class])
    if per_class == 0:
        return vectors_ND, label_N
    kinds_K = np.unique(label_N)
    size_K = np.maximum(FEWEST, per_class * len(kinds_K) * rng.dirichlet(np.full(len(kinds_K), UNEQUAL))).astype(int)
    row_N = [
        rng.permutation(np.flatnonzero(label_N == kind))[:size] for kind, size in zip(kinds_K, size_K, strict=True)
    ]
    order_M = rng.permutation(np.concatenate(row_N))
    return vectors_ND[order_M], label_N[order_M]


def by_score_alone(vectors_ND: NDArray[np.float16], config: ClusterConfig, seed: int) -> Setting:
    """The setting of GRID with the best silhouette times stability."""
    rng, ids_N = np.random.default_rng(seed), np.arange(len(vectors_ND))
    observed = Observed(Embedded(ids_N, vectors_ND, None), 1, config, rng)
    points_RD, weight_R = observed.points_ND[observed.bursts.row_R], observed.bursts.weight_R
    observations = Observations(points_RD, weight_R, config.min_samples, config.min_size)
    return score_settings(GRID, observations, rng)[0].setting


def means(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of the regrets, each set counting the same."""
    sets = {run["set"] for run in runs}
    return {
        key: round(statistics.fmean(statistics.fmean(run[key] for run in runs if run["set"] == one) for one in sets), 4)
        for key in REGRETS
    }


def regrets(arms: Mapping[str, Agreement], tried: Sequence[Agreement]) -> dict[str, float]:
    """What each arm falls short of the best that was tried, by NMI and by accuracy."""
    nmi, accuracy = max(one.nmi for one in tried), max(one.accuracy for one in tried)
    return {
        **{f"regret_{arm}": round(nmi - one.nmi, 4) for arm, one in arms.items()},
        **{f"accuracy_regret_{arm}": round(accuracy - one.accuracy, 4) for arm, one in arms.items()},
    }


def only(config: ClusterConfig, setting: Setting) -> ClusterConfig:
    """With a grid of one."""
    single = {name: (value,) for name, value in setting.as_dict().items()}
    return config.model_copy(update=single)


def found(
    config: ClusterConfig,
    vectors_ND: NDArray[np.float16],
    label_N: NDArray[np.int64],
    seed: int,
    rounds: Sequence[int],
) -> tuple[Agreement, Setting | None]:
    """Agreement of the last round with the classes, and the setting; each round sees so many of the pictures."""
    clusterer, before = Clusterer(config, np.random.default_rng(seed)), None
    for count in rounds:
        ids_N = np.arange(count)
        part = clusterer.fit(ids_N, Embedded(ids_N, vectors_ND[:count], None).of, 1, before=before, examine=False)
        before = Assignments(part.ids_N, part.label_N, part.probability_N, part.core_N)
    return agreement([str(label) for label in label_N], part.label_N.tolist()), clusterer.setting


def _line(run: dict[str, Any]) -> str:
    short = ", ".join(f"{arm} {run['regret_' + arm]:.3f}" for arm in ARMS)
    return (
        f"{run['set']} {run['seed']}, {run['pictures']} pictures: NMI {run['nmi']:.3f} "
        f"({run['kinds']} kinds of {run['classes']}), best of the grid {run['nmi_best']:.3f}, "
        f"median {run['nmi_median']:.3f}; short of the best: {short}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default=",".join(SETS), help="several with commas")
    parser.add_argument("--per-class", default=",".join(map(str, PER_CLASS)), help="several with commas; 0 for all")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
