"""State as flat tensors: what goes in comes out, in the layout that kernels take for granted."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from agent.parts import join, load_optimizer_state, optimizer_state, part


def test_parts_come_apart_again() -> None:
    parts = {"student": {"a.weight": torch.ones(2)}, "teacher": {"a.weight": torch.zeros(2), "b": torch.ones(1)}}
    flat = join(parts)
    assert sorted(flat) == ["student/a.weight", "teacher/a.weight", "teacher/b"]
    for name, tensors in parts.items():
        assert part(flat, name) == tensors
    assert part(flat, "stud") == {}


def steps_of(layer: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        layer(torch.ones(1, 3, 4, 4)).square().sum().backward()
        optimizer.step()


def convolution() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
    """In channels_last, as the student is."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    groups: list[dict[str, Any]] = [{"params": [layer.weight]}, {"params": [layer.bias], "lr": 0.1}]
    return layer, torch.optim.AdamW(groups, lr=0.01)


def test_an_optimizer_goes_on_as_if_it_had_never_stopped() -> None:
    layer, optimizer = convolution()
    steps_of(layer, optimizer, 3)
    saved = {
        key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in optimizer_state(optimizer).items()
    }
    other, resumed = convolution()
    other.load_state_dict(layer.state_dict())
    load_optimizer_state(resumed, saved)
    moment = resumed.state[other.weight]["exp_avg"]
    assert moment.is_contiguous(memory_format=torch.channels_last)
    steps_of(layer, optimizer, 2)
    steps_of(other, resumed, 2)
    for mine, theirs in zip(layer.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_new_optimizer_has_no_state() -> None:
    _, optimizer = convolution()
    assert optimizer_state(optimizer) == {}
    load_optimizer_state(optimizer, {})
    assert optimizer_state(optimizer) == {}
