from __future__ import annotations

import json
import math
import sys
from itertools import pairwise

import pytest

from agent.config import Config
from agent.device import HOST
from benchmarks.learning import Turn, Variant, block_of, main, ratio, study, taken, typical
from benchmarks.loops import Loop
from tests.learners import small_config

SMALL = (
    "encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16", "learner.stream_batch=4",
    "learner.replay_batch=8", "replay.capacity=16", "ewc.fisher_samples=8", "publish.probes=8",
)  # fmt: skip


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, object], str]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    assert main(["--device", "cpu", "--steps", "4", "--json", *settings, *arguments]) == 0
    printed = capsys.readouterr()
    result: dict[str, object] = json.loads(printed.out)
    return result, printed.err


def test_a_block_is_what_a_batch_of_the_stream_pays_for() -> None:
    assert block_of(Config()) == 3


def test_rare_turns_count_by_their_share() -> None:
    turns = [Turn({"one": 2.0 if i == 7 else 1.0, "other": 1.0}, measuring=i == 7) for i in range(10)]
    assert typical([turn.seconds["one"] for turn in turns], turns) == pytest.approx(1.1)
    assert ratio(turns, "one", "other") == pytest.approx(1 / 1.1, abs=1e-3)


def test_loops_take_turns_and_change_places() -> None:
    made: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        def prepare(self) -> None:
            pass

        def __call__(self, steps: int) -> None:
            made.append(self.name)

    loops: dict[str, Loop] = {name: Named(name) for name in "ab"}
    assert len(taken(loops, 1, 4, HOST)) == 4
    pairs = list(zip(made[::2], made[1::2], strict=True))
    assert len(pairs) == 6
    assert all(set(pair) == {"a", "b"} for pair in pairs)
    assert all(one != other for one, other in pairwise(pairs))


def test_one_run_measures_all(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightly")
    result, _ = measured(capsys)
    numbers = ("steps_per_s", "bare_steps_per_s", "lightly_steps_per_s", "ratio_bare", "ratio_lightly", "data_share")
    assert all(isinstance(result[name], float) and result[name] for name in numbers)
    assert (result["device"], result["image_px"], result["batch"]) == ("cpu", 16, [4, 8])


def test_without_lightly_the_rest_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    result, said = measured(capsys)
    assert (result["lightly_steps_per_s"], result["ratio_lightly"]) == (None, None)
    assert result["ratio_bare"]
    assert "[bench]" in said


def test_the_study_goes_on_past_what_fails(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("torch.nn.Module.compile", refuse)
    variants = [Variant("compiled", {}, compiled=True), Variant("unfolded", {}, unfolded=True, contiguous=True)]
    (failed, _, nan), (name, per_s, times) = study(small_config(), HOST, 2, variants)
    assert (failed, math.isnan(nan)) == ("compiled", True)
    assert "no compiler" in capsys.readouterr().err
    assert (name, per_s > 0, times > 0) == ("unfolded", True, True)
