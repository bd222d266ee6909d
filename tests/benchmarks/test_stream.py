from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import stream
from benchmarks.arms import ARMS

QUICK = [
    "--classes", "3", "--per-class", "24", "--held-out", "8", "--stages", "3",
    "--override", "encoder.backbone=small", "--override", "encoder.weights=none", "--override", "encoder.image_px=16",
    "--override", "learner.views_per_picture=8", "--override", "learner.stream_batch=8",
    "--override", "learner.replay_batch=8", "--override", "cluster.every=24",
]  # fmt: skip


def run(out: Path, *arguments: str) -> dict[str, object]:
    assert stream.main([*QUICK, *arguments, "--out", str(out)]) == 0
    (path,) = out.rglob("*.json")
    result: dict[str, object] = json.loads(path.read_text())
    return result


@pytest.mark.parametrize("order", ["class", "frames"])
def test_a_stream_is_learned_from_examined_and_written_down(tmp_path: Path, order: str) -> None:
    result = run(tmp_path, "--order", order)
    stages, final = result["stages"], result["final"]
    assert isinstance(stages, list)
    assert isinstance(final, dict)
    made_with = result["made_with"]
    assert isinstance(made_with, dict)
    assert made_with["settings"]["learner.views_per_picture"] == 8
    pictures = 72 if order == "class" else 72 * 6
    assert [stage["arrived"] for stage in stages] == [pictures // 3, 2 * pictures // 3, pictures]
    assert 0 < result["views"] <= 8 * pictures  # type: ignore[operator]
    assert stages[0]["drift_old"] is None
    assert stages[1]["drift_old"] > 0
    assert len(final["forgetting_of"]) == 3
    assert all(0 <= stage["kinds"]["nmi"] <= 1 for stage in stages)
    assert stages[-1]["kinds"] == final["kinds"]
    assert final["forgetting_mean"] == pytest.approx((stages[1]["forgetting"] + stages[2]["forgetting"]) / 2)
    assert all(0 <= final["representations"]["learned"][f"knn_{name}"] <= 1 for name in ("alone", "side"))


def test_a_frozen_network_neither_moves_nor_forgets(tmp_path: Path) -> None:
    result = run(tmp_path, "--arm", "frozen")
    final = result["final"]
    assert isinstance(final, dict)
    assert result["views"] == 0
    assert final["drift_old_per_1000"] == pytest.approx(0, abs=1e-6)
    assert set(final["forgetting_of"].values()) == {0.0}


@pytest.mark.slow
def test_delays_can_be_told_by_small_rounds_under_a_name_of_their_own(tmp_path: Path) -> None:
    result = run(tmp_path, "--arm", "frozen", "--every", "9")
    assert [path.name for path in tmp_path.rglob("*.json")] == ["frozen-every9-0.json"]
    made_with = result["made_with"]
    assert isinstance(made_with, dict)
    assert made_with["settings"]["cluster.every"] == 9


LONG = [pytest.param(arm, marks=pytest.mark.slow) for arm in ("l2-sp", "iid", "byol", "near-positives")]


@pytest.mark.parametrize("arm", ["ewc", "align-born", *LONG])
def test_arms_differ_only_in_what_they_say(tmp_path: Path, arm: str) -> None:
    assert run(tmp_path, "--arm", arm)["arm"] == arm


def test_every_arm_changes_settings_that_exist() -> None:
    from agent.settings import load_config

    for arm in ARMS.values():
        load_config(None, arm.changes, environment={})
