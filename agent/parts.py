"""State as flat dictionaries of tensors, `part/key`, so that a checkpoint needs no pickle."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def join(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in part.items()}


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The keys of one part, without its name."""
    return {key.removeprefix(f"{name}/"): t for key, t in tensors.items() if key.startswith(f"{name}/")}


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`NUMBER.FIELD` for the fields of each parameter, numbered through the groups."""
    return {
        f"{number}.{field}": value
        for number, parameter in enumerate(_parameters(optimizer))
        for field, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts the fields back in the memory layout of their parameters, which the fused kernels take for granted."""
    optimizer.state.clear()
    parameters = _parameters(optimizer)
    for key, saved in tensors.items():
        number, field = key.split(".")
        parameter = parameters[int(number)]
        if saved.shape == parameter.shape:
            value = torch.empty_like(parameter, requires_grad=False).copy_(saved)
        else:
            value = saved.to(parameter.device)
        optimizer.state[parameter][field] = value


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
