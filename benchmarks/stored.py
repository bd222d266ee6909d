"""What `benchmarks.stream` has written, read back: arms with the results of their seeds, figures and cells of tables.

It measures nothing, and knows no table.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Result = Mapping[str, Any]
Arms = Mapping[str, Sequence[Result]]
Column = Callable[[Result], float | None]
"""A figure of one result; None where it has none."""

LIKE = re.compile(r"(-classes\d+|-every\d+)*$")
"""The end of a file's name that the born network's must share, for both to have been asked for the same."""

NOT_LEARNED = ("frozen", "random")


def of_weights(weights: str, key: str, scale: float = 100) -> Column:
    return lambda result: scale * result["final"]["representations"][weights][key]


def of_kinds(key: str, scale: float = 1) -> Column:
    return lambda result: scale * result["final"]["kinds"][key]


def of_final(key: str, scale: float = 1) -> Column:
    return lambda result: None if result["final"].get(key) is None else scale * result["final"][key]


KNN, LINEAR, NMI = of_weights("learned", "knn_side"), of_weights("learned", "probe_side"), of_kinds("nmi")
"""What is told of every arm: of both embeddings side by side, which is what the agent clusters."""


def read(folder: Path) -> dict[str, list[Result]]:
    """Arm (with its tag) -> the results of its seeds; the least accurate arm first.

    Raises:
        FileNotFoundError: nothing was measured on that stream.
    """
    arms: dict[str, list[Result]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        arms[path.stem.rpartition("-")[0]].append(json.loads(path.read_text()))
    if not arms:
        raise FileNotFoundError(f"no results in {folder}; run `python -m benchmarks.stream` first")
    return dict(sorted(arms.items(), key=lambda item: float(np.mean([KNN(result) for result in item[1]]))))


def streams_in(folder: Path) -> list[Path]:
    """Folders of results in a folder, by name."""
    return sorted({path.parent for path in folder.glob("*/*.json")})


def learned_arms(arms: Arms) -> list[str]:
    return [arm for arm in arms if not arm.startswith(NOT_LEARNED)]


def with_born(arms: Arms, arm: str) -> list[tuple[Result, Result]]:
    """Born and learned, with the same seed, and the same order of classes where there are both."""
    like = LIKE.search(arm)
    alike = "frozen" + (like[0] if like else "")
    return list(paired(arms, alike if alike in arms else "frozen", arm))


def paired(arms: Arms, one: str, other: str) -> Iterator[tuple[Result, Result]]:
    """Results of two arms with the same seed."""
    by_seed = {result["seed"]: result for result in arms.get(one, [])}
    return ((by_seed[result["seed"]], result) for result in arms.get(other, []) if result["seed"] in by_seed)


def gain(column: Column, before: Result, after: Result) -> float | None:
    was, now = column(before), column(after)
    return None if was is None or now is None else now - was


def told(values: Iterable[float | None], digits: int) -> str:
    """Mean over seeds, and half of the range where there are several."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    spread = (max(known) - min(known)) / 2
    mean = f"{np.mean(known):.{digits}f}"
    return mean if len(known) == 1 else f"{mean} ± {spread:.{digits}f}"
