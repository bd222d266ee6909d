"""All benchmarks, one after the other: start-up and seeing, then discovery on what is at hand.

python -m benchmarks
"""

from __future__ import annotations

import sys

from benchmarks import ingest, kinds, startup
from benchmarks.datasets import DatasetAbsent

DISCOVERY = ("digits", "tiny20", "cifar10")


def main() -> int:
    print("startup", flush=True)
    startup.main(["--json"])
    print("ingest", flush=True)
    ingest.main(["--json"])
    for name in DISCOVERY:
        for learning in ("off", "on"):
            print(f"kinds of {name}, learning {learning}", flush=True)
            try:
                kinds.main(["--set", name, "--learning", learning, "--json"])
            except DatasetAbsent as absent:
                print(f"skipped: {absent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
