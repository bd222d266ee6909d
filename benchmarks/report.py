"""Tables of `docs/learning.md` and plots, from what `benchmarks.stream` wrote. It measures nothing.

    python -m benchmarks.report

The text between `<!-- VIEW STREAM -->` and `<!-- end -->` is written anew; STREAM names a folder of results and VIEW is
`arms`, `weights` or `recipes`, or VIEW is `gains` and STREAM a folder of such folders.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "stream"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "learning.md"
MARKED = re.compile(
    r"(<!-- (?P<view>arms|weights|recipes|gains) (?P<stream>[\w./-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)

Result = Mapping[str, Any]
Column = Callable[[Result], float | None]


def _weights(weights: str, key: str, scale: float = 100) -> Column:
    return lambda result: scale * result["final"]["representations"][weights][key]


def _kinds(key: str, scale: float = 1) -> Column:
    return lambda result: scale * result["final"]["kinds"][key]


def _final(key: str, scale: float = 1) -> Column:
    return lambda result: None if result["final"][key] is None else scale * result["final"][key]


def _recipe(recipe: str, key: str) -> Column:
    return lambda result: None if recipe not in result["final"] else result["final"][recipe][key.lower()]


Columns = Mapping[str, tuple[Column, int]]

ARMS: Columns = {
    "20-NN": (_weights("learned", "knn_side"), 1),
    "learned alone": (_weights("learned", "knn_alone"), 1),
    "linear": (_weights("learned", "probe_side"), 1),
    "forgetting": (_final("forgetting", 100), 1),
    "drift of old": (_final("drift_old_per_1000"), 3),
    "NMI": (_kinds("nmi"), 3),
    "ARI": (_kinds("ari"), 3),
    "accuracy": (_kinds("accuracy"), 3),
    "kinds": (_kinds("kinds"), 0),
    "ids kept": (_final("ids_kept"), 2),
    "delay": (lambda result: result["final"]["delay"]["median"], 0),
}
"""What an arm learned, forgot and found; the product clusters both embeddings side by side."""

WEIGHTS: Columns = {
    "20-NN learned": (_weights("learned", "knn_alone"), 1),
    "side by side": (_weights("learned", "knn_side"), 1),
    "halfway": (_weights("wise", "knn_alone"), 1),
    "halfway, side by side": (_weights("wise", "knn_side"), 1),
    "NMI learned": (_weights("learned", "nmi_alone", 1), 3),
    "NMI side by side": (_weights("learned", "nmi_side", 1), 3),
    "NMI halfway": (_weights("wise", "nmi_alone", 1), 3),
}
"""The plasticity question: the learned weights, and those halfway back to birth (WiSE-FT), alone and side by side."""

GAINS: Columns = {
    "20-NN": (_weights("learned", "knn_side"), 1),
    "linear": (_weights("learned", "probe_side"), 1),
    "NMI": (_kinds("nmi"), 3),
}
"""What the default is compared in with the network that it was born with."""

RECIPES: Columns = {
    f"{name} {key}": (_recipe(recipe, key), digits)
    for name, recipe in (("Taxon", "kinds"), ("k-means", "k_means_silhouette"), ("DBSCAN", "dbscan"))
    for key, digits in (("NMI", 3), ("accuracy", 3), ("kinds", 0))
}
"""What people would do with the same embeddings: k-means with k by silhouette, and DBSCAN."""

VIEWS = {"arms": ARMS, "weights": WEIGHTS, "recipes": RECIPES}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(arguments)
    text = options.document.read_text()
    options.document.write_text(MARKED.sub(lambda found: _rewritten(found, options.results), text))
    for stream in dict.fromkeys(found["stream"] for found in MARKED.finditer(text) if found["view"] != "gains"):
        plot(read(options.results / stream), options.results / f"{stream.replace('/', '-')}.png")
    return 0


def _rewritten(found: re.Match[str], results: Path) -> str:
    folder = results / found["stream"]
    told = gains(folder) if found["view"] == "gains" else table(read(folder), VIEWS[found["view"]])
    return found[1] + told + found["end"]


def read(folder: Path) -> dict[str, list[Result]]:
    """Arm (with its tag) -> the results of its seeds.

    Raises:
        FileNotFoundError: nothing was measured on that stream.
    """
    arms: dict[str, list[Result]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        arms[path.stem.rpartition("-")[0]].append(json.loads(path.read_text()))
    if not arms:
        raise FileNotFoundError(f"no results in {folder}; run `python -m benchmarks.stream` first")
    return dict(sorted(arms.items(), key=lambda item: _accuracy(item[1])))


def _accuracy(results: Sequence[Result]) -> float:
    """What arms are sorted by."""
    return float(np.mean([result["final"]["representations"]["learned"]["knn_side"] for result in results]))


def table(arms: Mapping[str, Sequence[Result]], columns: Columns) -> str:
    """Markdown: mean over seeds, and half of the range where there are several."""
    lines = ["| arm | seeds | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for arm, results in arms.items():
        cells = [_cell((column(result) for result in results), digits) for column, digits in columns.values()]
        lines.append(f"| {arm} | {len(results)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def gains(folder: Path) -> str:
    """Markdown: the default beside the born network on every stream where both were measured, seed by seed."""
    halves = [half for name in GAINS for half in (name, "gain")]
    lines = ["| stream | seeds | " + " | ".join(halves) + " | kinds | forgetting |", "|---" * (len(halves) + 4) + "|"]
    for stream in sorted(path for path in folder.iterdir() if path.is_dir()):
        pairs = list(_pairs(read(stream)))
        if not pairs:
            continue
        cells = [
            _cell(values, digits)
            for column, digits in GAINS.values()
            for values in ([column(after) for _, after in pairs], [_gain(column, *pair) for pair in pairs])
        ]
        cells += [
            _cell([column(after) for _, after in pairs], 1) for column in (_kinds("kinds"), _final("forgetting", 100))
        ]
        lines.append(f"| {stream.name} | {len(pairs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _pairs(arms: Mapping[str, Sequence[Result]]) -> Iterator[tuple[Result, Result]]:
    """Born and learned, with the same seed."""
    born = {result["seed"]: result for result in arms.get("frozen", [])}
    return ((born[result["seed"]], result) for result in arms.get("default", []) if result["seed"] in born)


def _gain(column: Column, before: Result, after: Result) -> float | None:
    values = column(before), column(after)
    return None if None in values else values[1] - values[0]  # type: ignore[operator]


def _cell(values: Iterable[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    spread = (max(known) - min(known)) / 2
    told = f"{np.mean(known):.{digits}f}"
    return told if len(known) == 1 else f"{told} ± {spread:.{digits}f}"


def plot(arms: Mapping[str, Sequence[Result]], path: Path) -> None:
    """20-NN accuracy over the stream, a line an arm, with the range over its seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for arm, results in arms.items():
        arrived = [stage["arrived"] for stage in results[0]["stages"]]
        knn_RS = 100 * np.array([[stage["knn"] for stage in result["stages"]] for result in results])
        (line,) = axes.plot(arrived, knn_RS.mean(axis=0), marker="o", markersize=3, label=arm)
        axes.fill_between(arrived, knn_RS.min(axis=0), knn_RS.max(axis=0), alpha=0.15, color=line.get_color())
    axes.set(xlabel="pictures that have arrived", ylabel="20-NN accuracy over all classes, %")
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
