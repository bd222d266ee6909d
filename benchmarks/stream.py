"""A labelled set arrives in an order through `Learner.observe`, labels hidden; what was learned, forgotten, found?

    python -m benchmarks.stream --set digits --arm default --seed 0 --json
    python -m benchmarks.stream --set cifar10 --per-class 100 --arm frozen,replay,default --seed 0,1,2

Each run is written to `benchmarks/results/stream/`; `python -m benchmarks.report` makes tables and plots of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.cores import share_cores
from agent.freed import keep_freed_memory

share_cores()  # as the daemon does, before torch is imported
keep_freed_memory()

import torch

from agent.device import resolve_device
from agent.encoder import build_encoder
from agent.settings import load_config
from benchmarks.arms import ARMS, Arm
from benchmarks.datasets import load
from benchmarks.provenance import made_with
from benchmarks.streams import FRAMES, ORDERS, stages_of
from benchmarks.trial import Trial, labelled

ASKED = (
    "set", "part", "order", "classes", "per_class", "held_out", "held_out_set", "stages", "class_seed", "every",
    "override",
)  # fmt: skip
"""What a result says about what was asked for."""

RESULTS = Path(__file__).resolve().parent / "results" / "stream"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    for arm in options.arm.split(","):
        for seed in options.seed.split(","):
            result = one_run(ARMS[arm], options, int(seed))
            path = _path(options, arm, int(seed))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=1) + "\n")
            print(json.dumps(result) if options.json else f"{path.stem}: {_line(result)}", flush=True)
    return 0


def one_run(arm: Arm, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The result of one arm with one seed, as written to file."""
    every = [f"cluster.every={options.every}"] if options.every else []
    config = load_config(options.config, [f"seed={seed}", *options.override, *every, *arm.changes])
    device = resolve_device(config.device)
    encoder = build_encoder(config.encoder, config.seed).to(device)
    order = "iid" if arm.iid else options.order
    wanted = {"classes": options.classes, "seed": seed, "part": options.part}
    stream = load(options.set, per_class=options.per_class, **wanted)
    other = options.held_out_set
    held_out = load(other or options.set, per_class=options.held_out, skip=0 if other else options.per_class, **wanted)
    frames = FRAMES if order == "frames" else 1
    seen = labelled(stream, encoder, device, frames)
    seen, stages = seen.as_they_come(stages_of(seen.label_N, order, options.stages, seed, options.class_seed))
    trial = Trial(arm, config, seen, labelled(held_out, encoder, device, 1), encoder)
    asked = {name: vars(options)[name] for name in ASKED}
    told = {"arm": arm.name, "seed": seed, "asked": asked, "made_with": made_with(config, device)}
    return {**told, **trial.through(stages)}


def _path(options: argparse.Namespace, arm: str, seed: int) -> Path:
    where = [Path(options.set).name, options.part, options.order, f"{options.classes}x{options.per_class}"]
    track = options.config.stem if options.config else "default"
    every = f"-every{options.every}" if options.every else ""
    order = "" if options.class_seed is None else f"-classes{options.class_seed}"
    return Path(options.out) / track / "-".join(where) / f"{arm}{options.tag}{every}{order}-{seed}.json"


def _line(result: Mapping[str, Any]) -> str:
    final = result["final"]
    learned, kinds = final["representations"]["learned"], final["kinds"]
    return (
        f"20-NN {learned['knn_side']:.3f} (alone {learned['knn_alone']:.3f}), probe {learned['probe_side']:.3f}, "
        f"NMI {kinds['nmi']:.3f}, kinds {kinds['kinds']} of {kinds['classes']}, "
        f"forgetting {100 * final['forgetting']:+.1f}, {result['seconds']:.0f} s"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="digits", help="digits, glyphs, beads, tiny20, cifar10 or a folder")
    parser.add_argument("--arm", default="default", help=f"of {', '.join(ARMS)}; several with commas")
    parser.add_argument("--seed", default="0", help="several with commas")
    parser.add_argument("--order", choices=ORDERS, default="class")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--class-seed", type=int, default=None, help="another order of the classes")
    parser.add_argument("--part", choices=("all", "choose", "report"), default="all", help="which classes")
    parser.add_argument("--per-class", type=int, default=140)
    parser.add_argument("--held-out", type=int, default=34, help="pictures a class that accuracy is told by")
    parser.add_argument("--held-out-set", default=None, help="another set that they are taken from")
    parser.add_argument("--stages", type=int, default=5)
    parser.add_argument("--every", type=int, default=0, help="pictures between rounds, by which delays are told")
    parser.add_argument("--config", type=Path, default=None)
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tag", default="", help="added to the file's name, where something was overridden")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
