"""Discovery through the real command: `run --once` on a folder that grows class by class, labels hidden.

    python -m benchmarks.kinds --set digits --json
    python -m benchmarks.kinds --set tiny20 --classes 10 --per-class 200 --stages 5 --learning off

Prints agreement with the hidden classes after the last stage, and the wall-clock time of each stage.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.datasets import LabelledPicture, load
from benchmarks.metrics import UNASSIGNED, agreement

ROOT = Path(__file__).resolve().parent.parent
FIRST_MTIME = 1_700_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    pictures = load(options.set, options.classes, options.per_class, options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder, data = Path(scratch) / "pictures", Path(options.data or Path(scratch) / "data")
        folder.mkdir()
        stages_s = [_stage(part, folder, data, options) for part in _parts(pictures, folder, options.stages)]
        result = _score(pictures, folder, data)
    result |= {"set": options.set, "learning": options.learning, "seed": options.seed, "stages_s": stages_s}
    print(json.dumps(result) if options.json else _table(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kinds", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="digits", help="digits, tiny20, cifar10 or a folder of class folders")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--stages", type=int, default=5, help="calls of `run --once` on the growing folder")
    parser.add_argument("--learning", choices=("on", "off"), default="on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", default=None)
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="passed on as --set")
    parser.add_argument("--data", default=None, help="keep the data directory here")
    parser.add_argument("--json", action="store_true")
    return parser


def _parts(pictures: list[LabelledPicture], folder: Path, stages: int) -> list[list[tuple[Path, bytes, int]]]:
    """Files to write, in `stages` equal parts; names say nothing of the class, mtimes keep the order."""
    files = [(folder / _name(i, picture), picture.data, FIRST_MTIME + i) for i, picture in enumerate(pictures)]
    size = -(-len(files) // stages)
    return [files[i : i + size] for i in range(0, len(files), size)]


def _name(i: int, picture: LabelledPicture) -> str:
    return f"{i:06d}{Path(picture.name).suffix.lower()}"


def _stage(part: list[tuple[Path, bytes, int]], folder: Path, data: Path, options: argparse.Namespace) -> float:
    for path, content, mtime in part:
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))
    command = [sys.executable, str(ROOT / "run_agent.py"), "run", "--once", "--watch", str(folder), "--data", str(data)]
    command += ["--set", f"seed={options.seed}"]
    if options.config:
        command += ["--config", options.config]
    if options.learning == "off":
        command += ["--set", "learner.views_per_picture=0"]
    for override in options.override:
        command += ["--set", override]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return round(time.monotonic() - started, 1)


def _score(pictures: list[LabelledPicture], folder: Path, data: Path) -> dict[str, object]:
    command = [sys.executable, str(ROOT / "run_agent.py"), "export", "--format", "csv", "--data", str(data)]
    exported = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    kind_of = {Path(row["uri"]).name: row["cluster_id"] for row in csv.DictReader(io.StringIO(exported))}
    found = [int(kind_of[_name(i, picture)] or UNASSIGNED) for i, picture in enumerate(pictures)]
    scores = asdict(agreement([picture.label for picture in pictures], found))
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in scores.items()}


def _table(result: dict[str, object]) -> str:
    return "\n".join(f"{name:>10}  {value}" for name, value in result.items())


if __name__ == "__main__":
    sys.exit(main())
