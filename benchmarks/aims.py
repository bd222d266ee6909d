"""Floors and aims of learning, and what was reached, from the results of `benchmarks.stream`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.stored import (
    KNN,
    LINEAR,
    NMI,
    Arms,
    Column,
    gain,
    of_final,
    of_kinds,
    paired,
    read,
    streams_in,
    told,
    with_born,
)

Values = Callable[[Arms], Sequence[float | None]]
"""A figure of each seed."""


@dataclass(frozen=True, slots=True)
class Band:
    """From `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf

    def misses(self, value: float) -> float:
        """How far a value lies outside; below 0 inside."""
        return max(self.low - value, value - self.high)

    def told(self) -> str:
        if self.low == -math.inf:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Aim:
    """One figure that learning must reach, and one that it should.

    Attributes:
        stream: folder of results, in the track's.
        values: the figure, seed by seed.
    """

    says: str
    stream: str
    floor: Band
    aim: Band
    values: Values
    digits: int


def of_default(column: Column) -> Values:
    return lambda arms: [column(result) for result in arms.get("default", [])]


def gained(column: Column) -> Values:
    return lambda arms: [gain(column, *pair) for pair in with_born(arms, "default")]


def over_mixed(arms: Arms) -> list[float | None]:
    """20-NN at the end of the stream as a multiple of that of the same pictures, mixed."""
    return [_ratio(KNN(ordered), KNN(mixed)) for mixed, ordered in paired(arms, "iid", "default")]


def cut_by_ewc(arms: Arms) -> list[float | None]:
    """Percent of the drift on old classes that the default has less than itself without EWC."""
    drift = of_final("drift_old_per_1000")
    ratios = [_ratio(drift(held), drift(free)) for free, held in paired(arms, "replay+align", "default")]
    return [None if ratio is None else 100 * (1 - ratio) for ratio in ratios]


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


AT_HOME, ABROAD = "default/tiny20-all-class-20x200", "default/cifar10-all-class-10x200"
DIGITS, SMALL = "default/digits-all-class-10x140", "default/cifar10-all-class-10x100"
SCRATCH = "scratch/cifar10-all-class-10x5000"
FORGETTING = of_final("forgetting", 100)

AIMS = (
    Aim("20-NN, gain over birth", AT_HOME, Band(-1), Band(2), gained(KNN), 1),
    Aim("NMI of kinds, gain over birth", AT_HOME, Band(-0.01), Band(0.05), gained(NMI), 3),
    Aim("20-NN, gain over birth", ABROAD, Band(1), Band(5), gained(KNN), 1),
    Aim("NMI of kinds, gain over birth", ABROAD, Band(0.01), Band(0.06), gained(NMI), 3),
    Aim("NMI of kinds", DIGITS, Band(0.72), Band(0.85), of_default(NMI), 3),
    Aim("kinds", DIGITS, Band(8, 14), Band(10, 12), of_default(of_kinds("kinds")), 1),
    Aim("20-NN", SCRATCH, Band(42), Band(55), of_default(KNN), 1),
    Aim("linear", SCRATCH, Band(48), Band(60), of_default(LINEAR), 1),
    Aim("20-NN over that of the same pictures mixed", SCRATCH, Band(0.95), Band(1), over_mixed, 3),
    Aim("drift on old classes that EWC cuts, percent", SMALL, Band(20), Band(50), cut_by_ewc, 0),
)
"""Of the default, beside the innate embedding; accuracies in percent, gains in points, as in all tables."""


def aims(results: Path) -> str:
    """Markdown: floor, aim, and what was reached by the mean over seeds, with the worst seed."""
    lines = ["| what | stream | floor | aim | seeds | reached | worst seed | which is |", "|---" * 8 + "|"]
    lines += [_line(aim, aim.stream, _values(results / aim.stream, aim.values)) for aim in AIMS]
    return "\n".join([*lines, _line(*_worst_forgetting(results))]) + "\n"


def _worst_forgetting(results: Path) -> tuple[Aim, str, list[float]]:
    """Of all streams with an order that could make it forget."""
    aim = Aim("forgetting at the end, worst stream", "", Band(high=3), Band(high=0), of_default(FORGETTING), 1)
    ordered = [path for path in streams_in_all(results) if "-iid-" not in path.name]
    found = [(values, path) for path in ordered if (values := _values(path, aim.values))]
    if not found:
        return aim, "-", []
    values, path = max(found, key=lambda one: float(np.mean(one[0])))
    return aim, str(path.relative_to(results)), values


def streams_in_all(results: Path) -> list[Path]:
    """Folders of results in all tracks."""
    return [stream for track in sorted(results.iterdir()) if track.is_dir() for stream in streams_in(track)]


def _values(folder: Path, values: Values) -> list[float]:
    found = values(read(folder)) if any(folder.glob("*.json")) else []
    return [value for value in found if value is not None]


def _line(aim: Aim, stream: str, values: Sequence[float]) -> str:
    worst = max(values, key=aim.aim.misses, default=None)
    cells = [
        aim.says, stream, aim.floor.told(), aim.aim.told(), str(len(values)),
        told(values, aim.digits), told([worst], aim.digits), verdict(aim, values),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def verdict(aim: Aim, values: Sequence[float]) -> str:
    """By the mean."""
    if not values:
        return "not measured"
    mean = float(np.mean(values))
    if aim.aim.misses(mean) <= 0:
        return "the aim"
    return "above the floor" if aim.floor.misses(mean) <= 0 else "**below the floor**"
