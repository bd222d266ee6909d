"""The same pictures in two orders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import arrival, selection


def test_sorted_is_one_class_after_the_other() -> None:
    label_N = np.array([2, 0, 1, 0, 2, 1, 2, 0])
    rows = arrival.by_class(label_N, 2)
    assert rows.tolist() == [1, 3, 2, 5, 0, 4]
    assert (np.diff(label_N[rows]) >= 0).all()


def test_a_row_tells_both_orders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arrival, "CACHE", tmp_path)
    monkeypatch.setitem(selection.SETS, "digits", (3, 20))
    assert arrival.main(["--set", "digits", "--per-class", "12", "--seed", "0,1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["classes"], row["per_class"], row["seeds"]) == (3, 12, 2)
    assert {f"{figure}_{way}" for figure in arrival.FIGURES for way in arrival.WAYS} < set(row)
    assert 0 <= row["nmi_mixed"] <= 1
