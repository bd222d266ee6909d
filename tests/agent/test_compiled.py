from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from agent.compiled import CompilerError, compile_in_place
from agent.device import HOST
from tests import learners


def test_without_a_compiler_one_line_says_so_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def translated(function: object) -> Callable[[object], object]:
        def run(x: object) -> object:
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand a page more")

        return run

    monkeypatch.setattr(torch, "compile", translated)
    with pytest.raises(CompilerError) as told:
        learners.new_learner(learners.small_config(learner={"compile": True}))
    assert str(told.value) == (
        "torch.compile does not work on cpu (InvalidCxxCompiler: No working C++ compiler found); install what it needs"
        " (a C++ compiler, for CUDA also triton), or set learner.compile=false"
    )
    assert told.value.exit_code == 2


def test_student_and_teacher_run_translated_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The translator is a fake: it counts, and changes nothing."""
    passes: list[object] = []

    def translated(function: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **rest: object) -> object:
            passes.append(getattr(function, "__self__", None))
            return function(*args, **rest)

        return run

    monkeypatch.setattr(torch, "compile", translated)
    plain, quick = (learners.new_learner(learners.small_config(learner={"compile": on})) for on in (False, True))
    stream = learners.observations(1, 17)
    for start in (0, 8):
        plain_steps = plain.observe(stream[start : start + 8], 1)
        assert not any(network in (plain._student.tail, plain.teacher) for network in passes)
        assert quick.observe(stream[start : start + 8], 1) == plain_steps
    assert {id(network) for network in passes} >= {id(quick._student.tail), id(quick.teacher)}
    assert quick.state_dict()[0].keys() == plain.state_dict()[0].keys()
    before = len(passes)
    copy.deepcopy(quick.teacher)(torch.zeros(1, 3, 16, 16))
    assert len(passes) == before, "what is published is not translated"


@pytest.mark.slow
def test_a_translated_network_gives_the_same() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    x_NC = torch.rand(3, 4)
    expected = network(x_NC)
    compile_in_place([network], HOST)
    torch.testing.assert_close(network(x_NC), expected)
