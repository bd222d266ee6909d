"""The stream on which rounds are timed, small: a grown window agrees with hdbscan and with one made at once."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.clustering import SETS, Stream

OPTIONS = argparse.Namespace(seed=0)


@pytest.mark.parametrize(("data", "agreement"), [("separated", 1.0), ("overlapping", 0.96)])
def test_a_grown_window_agrees(data: str, agreement: float) -> None:
    stream = Stream(SETS[data](4_000, OPTIONS), 2_000, 2_000, seed=0)
    stream.first()
    for _ in range(2):
        stream.next()
    ari, _, kinds = stream.space_of_window().agreement_with_hdbscan(threads=1)
    assert ari >= agreement
    assert kinds >= 2
    assert stream.agreement_with_anew() > 0.9
