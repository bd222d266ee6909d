"""The measurement of a large split, made small."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import beyond


def test_everyone_is_asked_and_goes_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beyond, "QUIET_S", 0.3)
    monkeypatch.setattr(beyond, "WINDOW", 400)
    monkeypatch.setattr("agent.beyond.PIECE", 200)
    found = beyond.measure(tmp_path / "taxon.db", members=1_000, dims=64)
    assert found["pieces"] >= 4
    assert found["right"] == 1.0
