"""From the share of walks or votes that a kind has to the probability that is stated.

Walks end at core members, so a share promises too much: kinds are not pure, and what lies between them is harder than
their cores. An exponent takes back about what was measured on labelled sets (`benchmarks.calibration`, the table in
`docs/clustering.md`). No agreement of the agent with itself could tell: under subsampling kinds agree far more than
their shares promise. What is assigned, and where, is decided by shares; the order of probabilities is that of shares.
"""

from __future__ import annotations

from typing import overload

from agent.space import Points

EXPONENT = 1.5


@overload
def stated(share: float) -> float: ...


@overload
def stated(share: Points) -> Points: ...


def stated(share: float | Points) -> float | Points:
    """Probability from a share, or probabilities (N,) from shares (N,), in [0, 1]; none and all stay what they are."""
    return share**EXPONENT
