"""All benchmarks, one after the other: start-up and seeing, learning in short, then discovery on what is at hand.

python -m benchmarks
"""

from __future__ import annotations

import sys
import tempfile

from benchmarks import ingest, kinds, learning, startup, stream
from benchmarks.datasets import DatasetAbsent

DISCOVERY = ("digits", "tiny20", "cifar10")
SHORT_STREAM = ("--set", "digits", "--per-class", "60", "--arm", "frozen,default")
FEW_STEPS = ("--steps", "9")


def main() -> int:
    print("startup", flush=True)
    startup.main(["--json"])
    print("ingest", flush=True)
    ingest.main(["--json"])
    print("learning, a few steps", flush=True)
    learning.main([*FEW_STEPS, "--json"])
    print("stream, short", flush=True)
    with tempfile.TemporaryDirectory() as scratch:  # what is kept for the tables was measured at length
        stream.main([*SHORT_STREAM, "--out", scratch])
    for name in DISCOVERY:
        for learning_is in ("off", "on"):
            print(f"kinds of {name}, learning {learning_is}", flush=True)
            try:
                kinds.main(["--set", name, "--learning", learning_is, "--json"])
            except DatasetAbsent as absent:
                print(f"skipped: {absent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
