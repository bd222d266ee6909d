"""The stream on which rounds are timed, small: a grown window agrees with hdbscan and with one made at once."""

from __future__ import annotations

import argparse

import pytest

from agent.config import ClusterConfig
from agent.space import unit
from benchmarks import clustering
from benchmarks.clustering import SETS, Stream, choice_of_window_s, in_turns, worker_round_s
from benchmarks.steps import measure

OPTIONS = argparse.Namespace(seed=0)


@pytest.mark.parametrize("min_samples", [5, 15])
@pytest.mark.parametrize(("data", "agreement"), [("separated", 1.0), ("overlapping", 0.96)])
def test_a_grown_window_agrees(data: str, agreement: float, min_samples: int) -> None:
    stream = Stream(SETS[data](4_000, OPTIONS), 2_000, ClusterConfig(window=2_000, min_samples=min_samples), seed=0)
    stream.first()
    for _ in range(2):
        stream.next()
    ari, _, kinds = stream.space_of_window().agreement_with_hdbscan(threads=1)
    assert ari >= agreement
    assert kinds >= 2
    assert stream.agreement_with_anew() > 0.9


@pytest.mark.parametrize(("theirs_s", "told"), [(10.0, True), (None, False)])
def test_rounds_take_turns_with_fast_hdbscan_where_there_is_one(
    theirs_s: float | None, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream(SETS["separated"](7_000, OPTIONS), 1_000, ClusterConfig(window=1_000), seed=0)
    stream.first()
    monkeypatch.setattr(clustering, "fast_hdbscan_s", lambda looked, threads: (theirs_s, theirs_s))
    found = in_turns(stream, stream.space_of_window(), threads=1)
    assert (found["ratio_fast_hdbscan"] is not None) == told
    if told:
        low, high = found["ratio_fast_hdbscan_spread"]
        assert 0 < low <= found["ratio_fast_hdbscan"] <= high < 1


def test_whole_rounds_of_the_process_are_timed() -> None:
    options = argparse.Namespace(seed=0, window=1_000, min_samples=5)
    assert worker_round_s(SETS["separated"](4_000, OPTIONS), 1_000, options) > 0
    assert choice_of_window_s(5_000, 1_000, seed=0) > 0


def test_the_steps_of_a_round_are_measured() -> None:
    found = measure(unit(SETS["overlapping"](3_000, OPTIONS).innate_ND))
    assert found["n"] == 2_000
    assert 0.5 < found["ari_diffused"] <= found["ari_searched"] <= 1
    assert all(found[step] >= 0 for step in found if step.endswith("_s"))
