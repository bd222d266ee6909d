"""What a reading verb costs before it answers, against the bare import of sqlalchemy and typer.

    python -m benchmarks.startup --json

Processor time of child processes, the least of several, in turns; the budget is a ratio of 2.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.engine import database_url, open_engine
from storage.migrate import migrate
from storage.store import Store

ROOT = Path(__file__).resolve().parent.parent
TURNS = 7


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as data:
        engine = open_engine(database_url(Path(data)))
        migrate(engine)
        Store(engine).ensure_born({})
        engine.dispose()
        turns = [(seconds("-c", "import sqlalchemy, typer"), seconds(*status(data))) for _ in range(TURNS)]
    bare_s, verb_s = min(bare for bare, _ in turns), min(verb for _, verb in turns)
    result = {"bare_s": round(bare_s, 3), "status_s": round(verb_s, 3), "ratio": round(verb_s / bare_s, 2)}
    print(json.dumps(result) if options.json else "\n".join(f"{k:>9}  {v}" for k, v in result.items()))
    return 0


def status(data: str) -> list[str]:
    return [str(ROOT / "run_agent.py"), "status", "--json", "--data", data]


def seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
