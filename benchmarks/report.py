"""Tables of `docs/learning.md` and plots, from what other benchmarks wrote. It measures nothing.

    python -m benchmarks.report

The text between `<!-- VIEW STREAM -->` and `<!-- end -->` is written anew. STREAM names a folder of results in
`results/stream`; for the views `gains` and `worst` it names a folder of such folders, and for `aims` and `hours` it is
`.`, which is all of them. For the view `study` it names a result in `results/learning`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.aims import aims, streams_in_all
from benchmarks.plots import plot
from benchmarks.stored import (
    KNN,
    LINEAR,
    NMI,
    Arms,
    Column,
    Result,
    gain,
    learned_arms,
    of_final,
    of_kinds,
    of_weights,
    read,
    streams_in,
    told,
    with_born,
)

RESULTS = Path(__file__).resolve().parent / "results"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "learning.md"
STREAM_VIEWS = ("arms", "weights", "recipes")
FOLDER_VIEWS = ("gains", "worst")
MARKED = re.compile(
    rf"(<!-- (?P<view>{'|'.join((*STREAM_VIEWS, *FOLDER_VIEWS))}|aims|hours|study) (?P<stream>[\w./-]+) -->\n)"
    r".*?(?P<end><!-- end -->)",
    re.DOTALL,
)

Cell = Callable[[Sequence[Result]], str]
"""What a table says of an arm's results."""

Columns = Mapping[str, Cell]


def _numbers(column: Column, digits: int) -> Cell:
    return lambda results: told((column(result) for result in results), digits)


def _recipe(recipe: str, key: str) -> Column:
    return lambda result: None if recipe not in result["final"] else result["final"][recipe][key.lower()]


def _delay(results: Sequence[Result]) -> str:
    """Median over discovered classes, and how many those are of all, mean over seeds."""
    delays = [result["final"]["delay"] for result in results]
    discovered = np.mean([delay["discovered"] for delay in delays])
    median = told((delay["median"] for delay in delays), 0)
    return f"{median} ({round(float(discovered), 1):g} of {delays[0]['classes']})"


def _views(results: Sequence[Result]) -> str:
    return f"{np.mean([result['views'] for result in results]):,.0f}"


ARMS: Columns = {
    "views": _views,
    "20-NN": _numbers(KNN, 1),
    "learned alone": _numbers(of_weights("learned", "knn_alone"), 1),
    "linear": _numbers(LINEAR, 1),
    "rank": _numbers(of_final("effective_rank"), 0),
    "forgetting": _numbers(of_final("forgetting", 100), 1),
    "drift of old": _numbers(of_final("drift_old_per_1000"), 3),
    "NMI": _numbers(NMI, 3),
    "ARI": _numbers(of_kinds("ari"), 3),
    "accuracy": _numbers(of_kinds("accuracy"), 3),
    "kinds": _numbers(of_kinds("kinds"), 0),
    "ids kept": _numbers(of_final("ids_kept"), 2),
    "delay": _delay,
}
"""What an arm cost, learned, forgot and found; the product clusters both embeddings side by side."""

WEIGHTS: Columns = {
    "20-NN learned": _numbers(of_weights("learned", "knn_alone"), 1),
    "side by side": _numbers(KNN, 1),
    "halfway": _numbers(of_weights("wise", "knn_alone"), 1),
    "halfway, side by side": _numbers(of_weights("wise", "knn_side"), 1),
    "NMI learned": _numbers(of_weights("learned", "nmi_alone", 1), 3),
    "NMI side by side": _numbers(of_weights("learned", "nmi_side", 1), 3),
    "NMI halfway": _numbers(of_weights("wise", "nmi_alone", 1), 3),
}
"""The plasticity question: the learned weights, and those halfway back to birth (WiSE-FT), alone and side by side."""

RECIPES: Columns = {
    f"{name} {key}": _numbers(_recipe(recipe, key), digits)
    for name, recipe in (("Taxon", "kinds"), ("k-means", "k_means_silhouette"), ("DBSCAN", "dbscan"))
    for key, digits in (("NMI", 3), ("accuracy", 3), ("kinds", 0))
}
"""What people would do with the same embeddings: k-means with k by silhouette, and DBSCAN."""

VIEWS = {"arms": ARMS, "weights": WEIGHTS, "recipes": RECIPES}

GAINS: Mapping[str, tuple[Column, int]] = {"20-NN": (KNN, 1), "linear": (LINEAR, 1), "NMI": (NMI, 3)}
"""What arms are compared in with the network that they were born with."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS / "stream")
    parser.add_argument("--learning", type=Path, default=RESULTS / "learning", help="results of benchmarks.learning")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(arguments)
    text = options.document.read_text()
    options.document.write_text(MARKED.sub(lambda found: _rewritten(found, options.results, options.learning), text))
    for stream in plotted(text, options.results):
        plot(read(stream), options.results / f"{'-'.join(stream.relative_to(options.results).parts)}.png")
    return 0


def _rewritten(found: re.Match[str], results: Path, learning: Path) -> str:
    view, name = found["view"], found["stream"]
    if view in STREAM_VIEWS:
        written = table(read(results / name), VIEWS[view])
    elif view == "study":
        written = study(learning / f"{name}.json")
    else:
        written = {"gains": gains, "worst": worst, "aims": aims, "hours": hours}[view](results / name)
    return found[1] + written + found["end"]


def plotted(text: str, results: Path) -> list[Path]:
    """Folders of the streams that tables tell of, each once."""
    marks = list(MARKED.finditer(text))
    alone = [results / mark["stream"] for mark in marks if mark["view"] in STREAM_VIEWS]
    of_folders = [
        path for mark in marks if mark["view"] in FOLDER_VIEWS for path in streams_in(results / mark["stream"])
    ]
    return list(dict.fromkeys([*alone, *of_folders]))


# -------------------------------------------------------------------- tables


def table(arms: Arms, columns: Columns) -> str:
    """Markdown: a line an arm."""
    head = ["arm", "seeds", *columns]
    rows = [[arm, str(len(results)), *(cell(results) for cell in columns.values())] for arm, results in arms.items()]
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


def gains(folder: Path) -> str:
    """Markdown: the default beside the born network on every stream where both were measured, seed by seed."""
    head = ["stream", "seeds", *(half for name in GAINS for half in (name, "gain")), "kinds", "forgetting"]
    rows = []
    for stream in streams_in(folder):
        pairs = with_born(read(stream), "default")
        if not pairs:
            continue
        after = [result for _, result in pairs]
        cells = [
            told(values, digits)
            for column, digits in GAINS.values()
            for values in ([column(result) for result in after], [gain(column, *pair) for pair in pairs])
        ]
        cells += [_numbers(column, 1)(after) for column in (of_kinds("kinds"), of_final("forgetting", 100))]
        rows.append([stream.name, str(len(pairs)), *cells])
    return _markdown(head, rows)


def worst(folder: Path) -> str:
    """Markdown: of each arm the smallest gain over birth on any stream, where that was, and the mean over streams."""
    gain_of: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for stream in streams_in(folder):
        arms = read(stream)
        for arm in learned_arms(arms):
            pairs = with_born(arms, arm)
            if pairs:
                means = [np.mean([gain(column, *pair) for pair in pairs]) for column in (KNN, NMI)]
                gain_of[arm][stream.name] = [float(mean) for mean in means]
    order = sorted(gain_of, key=lambda arm: min(knn for knn, _ in gain_of[arm].values()))
    head = ["arm", "streams"]
    for name in ("20-NN", "NMI"):
        head += [f"{name}, smallest gain", "on", "mean gain"]
    return _markdown(head, [[arm, str(len(gain_of[arm])), *_worst_and_mean(gain_of[arm])] for arm in order])


def _worst_and_mean(gain_of: Mapping[str, Sequence[float]]) -> list[str]:
    cells = []
    for i, digits in enumerate((1, 3)):
        where = min(gain_of, key=lambda stream: gain_of[stream][i])
        mean = np.mean([gains[i] for gains in gain_of.values()])
        cells += [f"{gain_of[where][i]:+.{digits}f}", where, f"{mean:+.{digits}f}"]
    return cells


def hours(folder: Path) -> str:
    """How long all stored runs took, as a line of text."""
    results = [result for stream in streams_in_all(folder) for arm in read(stream).values() for result in arm]
    seconds, learning_s = (sum(result[key] for result in results) for key in ("seconds", "learning_s"))
    return f"{len(results)} runs, {seconds / 3600:.1f} machine hours, {learning_s / 3600:.1f} of them learning.\n"


def study(path: Path) -> str:
    """Markdown: what `benchmarks.learning --study` found a step to cost; words where it was not run yet."""
    if not path.exists():
        return "Not measured yet.\n"
    found = json.loads(path.read_text())
    rows = [
        [one["variant"], *(_number(one[key]) for key in ("steps_per_s", "times_as_fast"))] for one in found["study"]
    ]
    made = found["made_with"]
    told_of = (
        f"{found['steps']} steps of each in turns with the default; {made['device']}, {made['threads']} threads.\n"
    )
    return _markdown(["what differs", "steps a second", "times as fast as the default"], rows) + "\n" + told_of


def _number(value: float | None) -> str:
    return "failed" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
