"""Whether a stated probability is the share of pictures that are where they belong.

    python -m benchmarks.calibration --json
    python -m benchmarks.calibration --set digits --seed 0

The real clusterer sees innate embeddings of half of a set; the other half is voted on. Asked are the pictures of the
window that are no core members (`propagated`) and those that were voted on (`voted`), as far as they were given a kind,
in two readings of belonging, since a kind may hold two classes and a class may fill two kinds:

* `majority`: the picture's class is the one that most core members of the kind are of.
* `home`: no other kind has more of the core members of the picture's class.

`ece_*` is the expected calibration error in ten bins: the mean distance of what was stated from the share that is
right. `share` is that of the bare share of walks or votes, `stated` that of the probability that the agent gives for
it. `elsewhere` is that of the exponent which was best on the other sets: fitted to a half of their pictures, measured
on the half of this set's that it never saw. `reliability` has, for each bin of stated probabilities, how many there
are, their mean, and what share of them is right in each reading.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np
from numpy.typing import NDArray

from agent.calibration import EXPONENT, stated
from agent.clusterer import Clusterer, Embedded
from agent.config import Config
from agent.space import Points
from benchmarks.embeddings import innate_of
from benchmarks.selection import CACHE, SETS

BINS = 10
EXPONENTS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
WHO = ("propagated", "voted")
READINGS = ("majority", "home")


@dataclass(frozen=True, slots=True)
class Asked:
    """Pictures that were given a kind.

    Attributes:
        share_N: of their walks or votes.
        right: reading -> whether each is where it belongs, (N,).
    """

    share_N: Points
    right: Mapping[str, NDArray[np.bool_]]

    def rows(self, row_M: NDArray[np.int64]) -> Asked:
        """Some of them."""
        return Asked(self.share_N[row_M], {reading: right_N[row_M] for reading, right_N in self.right.items()})


Found = Mapping[str, Sequence[Asked]]
"""Who was asked -> for each seed, the answers."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    seeds = [int(seed) for seed in options.seed.split(",")]
    found = {name: answers(name, seeds) for name in options.set.split(",")}
    result = {name: measured(name, found) for name in found}
    print(json.dumps(result, indent=1) if options.json else "\n".join(map(_line, result.items())))
    return 0


# -------------------------------------------------------------------- answers


def answers(name: str, seeds: Iterable[int]) -> Found:
    """Of one set."""
    runs = [one_run(name, seed) for seed in seeds]
    return {who: [run[who] for run in runs] for who in WHO}


def one_run(name: str, seed: int) -> dict[str, Asked]:
    """Half of the pictures clustered, the others voted on."""
    innate_ND, class_N = innate_of(name, *SETS[name], seed, CACHE)
    order_N = np.random.default_rng(seed).permutation(len(class_N))
    inside_M, outside_L = np.sort(order_N[::2]), np.sort(order_N[1::2])
    clusterer = Clusterer(Config().cluster, np.random.default_rng(seed))
    partition = clusterer.fit(inside_M, Embedded(inside_M, innate_ND[inside_M], None).of, 1, examine=False)
    label_L, probability_L = clusterer.vote(innate_ND[outside_L], None)
    of_kinds = Classes(partition.label_N[partition.core_N], class_N[inside_M[partition.core_N]])
    free_N = (partition.label_N >= 0) & ~partition.core_N
    return {
        "propagated": of_kinds.asked(partition.label_N, partition.probability_N, class_N[inside_M], free_N),
        "voted": of_kinds.asked(label_L, probability_L, class_N[outside_L], label_L >= 0),
    }


class Classes:
    """Which classes the core members of each kind are of.

    Args:
        label_C, class_C: of all core members.
    """

    def __init__(self, label_C: NDArray[np.int64], class_C: NDArray[np.int64]) -> None:
        self._table_KC = np.zeros((int(label_C.max(initial=-1)) + 1, int(class_C.max(initial=-1)) + 1))
        np.add.at(self._table_KC, (label_C, class_C), 1)

    def asked(
        self, label_N: NDArray[np.int64], probability_N: Points, class_N: NDArray[np.int64], which_N: NDArray[np.bool_]
    ) -> Asked:
        """Some of N pictures, by what was said of them and their classes."""
        label_M, class_M = label_N[which_N], class_N[which_N]
        known_M = class_M < self._table_KC.shape[1]
        home_M = np.where(known_M, self._table_KC.argmax(axis=0)[np.where(known_M, class_M, 0)], -1)
        right = {"majority": self._table_KC.argmax(axis=1)[label_M] == class_M, "home": home_M == label_M}
        return Asked(probability_N[which_N] ** (1 / EXPONENT), right)


# -------------------------------------------------------------------- figures


def measured(name: str, found: Mapping[str, Found]) -> dict[str, Any]:
    """All figures of one set."""
    others = [other for other in found if other != name]
    exponent = best_exponent([half(found[other], 0) for other in others]) if others else None
    return {who: figures(found[name][who], half(found[name], 1)[who], exponent) for who in WHO} | {
        "exponent_elsewhere": exponent
    }


def figures(runs: Sequence[Asked], unseen: Sequence[Asked], exponent: float | None) -> dict[str, Any]:
    """Of those who were asked in one way."""
    result: dict[str, Any] = {"pictures": sum(len(run.share_N) for run in runs)}
    for reading in READINGS:
        result[f"ece_{reading}"] = {
            "share": mean_error(runs, reading, lambda share_N: share_N),
            "stated": mean_error(runs, reading, stated),
            "elsewhere": None if exponent is None else mean_error(unseen, reading, lambda share_N: share_N**exponent),
        }
    return {**result, "reliability": reliability(runs)}


def half(found: Found, which: int) -> dict[str, list[Asked]]:
    """Every second of those who were asked."""
    return {who: [run.rows(np.arange(which, len(run.share_N), 2)) for run in runs] for who, runs in found.items()}


def best_exponent(sets: Sequence[Found]) -> float:
    """That with the smallest error, on average over sets, those who were asked, and readings."""

    def error(exponent: float) -> float:
        errors = [
            mean_error(found[who], reading, lambda share_N: share_N**exponent)
            for found in sets
            for who in WHO
            for reading in READINGS
        ]
        return statistics.fmean(error for error in errors if error is not None)

    return min(EXPONENTS, key=error)


def mean_error(runs: Sequence[Asked], reading: str, state: Callable[[Points], Points]) -> float | None:
    """Expected calibration error, on average over seeds; None where nobody was asked."""
    errors = [calibration_error(state(run.share_N), run.right[reading]) for run in runs if len(run.share_N)]
    return round(statistics.fmean(errors), 4) if errors else None


def calibration_error(probability_N: Points, right_N: NDArray[np.bool_]) -> float:
    """Mean over all of the distance, in their bin, of mean probability and share that is right (Naeini et al. 2015)."""
    bin_N = bins(probability_N)
    gap_B = np.bincount(bin_N, probability_N, BINS) - np.bincount(bin_N, right_N, BINS)
    return float(np.abs(gap_B).sum() / len(probability_N))


def bins(probability_N: Points) -> NDArray[np.int64]:
    """Numbers from 0; 1 belongs to the last."""
    return np.minimum(BINS - 1, (probability_N * BINS).astype(np.int64))


def reliability(runs: Sequence[Asked]) -> list[dict[str, float]]:
    """One row for each bin of stated probabilities that holds any."""
    probability_N = np.concatenate([stated(run.share_N) for run in runs])
    right = {reading: np.concatenate([run.right[reading] for run in runs]) for reading in READINGS}
    bin_N = bins(probability_N)
    return [
        {
            "pictures": int((bin_N == number).sum()),
            "stated": round(float(probability_N[bin_N == number].mean()), 3),
            **{reading: round(float(right[reading][bin_N == number].mean()), 3) for reading in READINGS},
        }
        for number in np.unique(bin_N).tolist()
    ]


def _line(found: tuple[str, Mapping[str, Any]]) -> str:
    name, figures = found
    return f"{name}, exponent elsewhere {figures['exponent_elsewhere']}\n" + "\n".join(
        f"  {who} {figures[who]['pictures']}: "
        + ", ".join(f"{reading} {figures[who][f'ece_{reading}']}" for reading in READINGS)
        for who in WHO
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default=",".join(SETS), help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
