"""The store that questions are timed on, small: it is a real one, and every documented question has an answer."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.queries import measure


def test_a_small_store_is_filled_and_asked(tmp_path: Path) -> None:
    options = argparse.Namespace(pictures=1_200, rounds=30, events=90, seed=0)
    found = measure(tmp_path / "taxon.db", options)
    assert found["rows"]["pictures"] == 1_200
    assert found["rows"]["clusterings"] == 30
    assert found["growth"] == {"assignments": 0, "events": 0, "cluster_rounds": 0, "clusterings": 1, "revisions": 1}
    assert sum(name.startswith("SQL") for name in found["queries_ms"]) == 10
    assert found["slowest_ms"] == max(found["queries_ms"].values())
