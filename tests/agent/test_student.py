"""How student and teacher move, step by step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from agent.config import LearnerConfig
from agent.device import HOST
from agent.encoder import EncoderError, build_encoder
from agent.student import Student
from tests.learners import small_config, weights_of


def student(seed: int = 3, **learner: Any) -> Student:
    config = small_config(learner=learner)
    return Student(config.learner, build_encoder(config.encoder, seed=0), seed, HOST)


def loss_of(mine: Student) -> torch.Tensor:
    pictures = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    heads = sum(p.square().sum() for p in mine.objective.parameters())
    total: torch.Tensor = mine.tail(pictures).square().sum() + heads
    return total


def step(mine: Student, number: int = 9) -> torch.Tensor:
    norm = mine.descend(loss_of(mine))
    mine.advance(number, None)
    return norm


def test_the_teacher_is_the_moving_average_of_the_student() -> None:
    mine = student(teacher_decay=0.9)
    before = weights_of(mine.teacher)
    step(mine)
    for name, weight in mine.tail.state_dict().items():
        torch.testing.assert_close(mine.teacher.state_dict()[name], 0.9 * before[name] + 0.1 * weight)


def test_gradients_are_clipped_together_and_their_norm_is_told() -> None:
    mine = student(grad_clip=0.5)
    told = float(mine.descend(loss_of(mine)))
    gradients = [p.grad for p in [*mine.tail.parameters(), *mine.objective.parameters()] if p.grad is not None]
    assert told > 0.5
    assert float(torch.stack([g.norm() for g in gradients]).norm()) == pytest.approx(0.5, rel=1e-3)


def test_the_first_steps_are_shorter() -> None:
    def moved(number: int) -> float:
        mine = student(warmup_steps=10)
        before = weights_of(mine.tail)
        step(mine, number)
        return max(float((weight - before[name]).abs().max()) for name, weight in mine.tail.state_dict().items())

    assert moved(0) == pytest.approx(moved(9) / 10, rel=0.05)
    assert moved(99) == pytest.approx(moved(9), rel=1e-4)


def test_seeds_decide_the_heads() -> None:
    one, same, other = (weights_of(student(seed).objective) for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_it_goes_on_where_it_stopped() -> None:
    mine, again = student(), student(seed=8)
    step(mine)
    assert again.load_state_dict({key: t.clone() for key, t in mine.state_dict().items()})
    step(mine)
    step(again)
    for key, tensor in mine.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], tensor)


@pytest.mark.parametrize("other", [{"objective": "byol"}, {"head_dims": (24, 16)}])
def test_with_other_heads_the_network_goes_on_and_they_are_new(other: dict[str, Any]) -> None:
    mine, again = student(), student(**other)
    step(mine)
    heads = copy.deepcopy(again.objective.state_dict())
    assert not again.load_state_dict(mine.state_dict())
    assert all(torch.equal(again.tail.state_dict()[k], w) for k, w in mine.tail.state_dict().items())
    assert all(torch.equal(again.objective.state_dict()[k], w) for k, w in heads.items())


def test_another_network_is_refused() -> None:
    tensors = student().state_dict()
    tensors = {key: t for key, t in tensors.items() if not key.startswith("teacher/")}
    with pytest.raises(EncoderError):
        student().load_state_dict(tensors)


def test_pull_is_told_as_a_share_of_the_movement() -> None:
    assert LearnerConfig().teacher_decay < 1
    mine = student()
    mine.descend(loss_of(mine))
    assert mine.advance_measured(9, None) == 0.0
