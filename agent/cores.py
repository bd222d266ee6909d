"""How the threads of this process behave where cores are shared. To be called before torch is imported.

Seeing, learning, clustering and decoding share the cores, and OpenMP's threads spin while they wait for each other:
with two busy processes on two cores a training step took 30 times as long as with sleeping threads (0.17 s against
5.4 s for four steps of the small network, repeated twice).
"""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let waiting OpenMP threads sleep, unless whoever started this process has decided otherwise."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
