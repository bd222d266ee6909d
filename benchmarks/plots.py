"""Curves over a stream: 20-NN accuracy, and NMI of the kinds, a line an arm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.stored import NMI, Arms, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = Callable[[Result], list[tuple[int, float]]]
"""Pictures that had arrived, and the figure then."""


def plot(arms: Arms, path: Path) -> None:
    """Both beside each other, with the range over seeds, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(ncols=2, sharex=True, figsize=(13, 5), layout="constrained")
    _lines(left, arms, knn_points, "20-NN accuracy over all classes, %")
    _lines(right, arms, nmi_points, "NMI of the kinds")
    left.legend(fontsize="small", ncols=2)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def _lines(axes: Axes, arms: Arms, points: Points, says: str) -> None:
    for arm, results in arms.items():
        told = [points(result) for result in results]
        fewest = min(len(one) for one in told)  # of older results the last point alone is known
        arrived = [at for at, _ in told[0][-fewest:]]
        value_RS = np.array([[value for _, value in one[-fewest:]] for one in told])
        style: dict[str, Any] = {"marker": "o", "markersize": 3, "label": arm}
        (line,) = axes.plot(arrived, value_RS.mean(axis=0), **style)
        axes.fill_between(arrived, value_RS.min(axis=0), value_RS.max(axis=0), alpha=0.15, color=line.get_color())
    axes.set(xlabel="pictures that have arrived", ylabel=says)
    axes.grid(alpha=0.3)


def knn_points(result: Result) -> list[tuple[int, float]]:
    return [(stage["arrived"], 100 * stage["knn"]) for stage in result["stages"]]


def nmi_points(result: Result) -> list[tuple[int, float]]:
    """After each stage, or at the end alone where no more was told."""
    stages = result["stages"]
    if all("kinds" in stage for stage in stages):
        return [(stage["arrived"], stage["kinds"]["nmi"]) for stage in stages]
    value = NMI(result)
    return [] if value is None else [(stages[-1]["arrived"], value)]
