"""Cutting a network into a frozen trunk and a trained tail.

Innate network, student and teacher share the trunk, so it is computed once per picture. It knows nothing of what
the halves are used for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def split(network: nn.Module, trained_blocks: int, probe_BCHW: Tensor) -> tuple[nn.Module, nn.Module]:
    """Trunk and tail with `tail(trunk(x)) == network(x)`; only the last blocks, and what follows them, are in the tail.

    A block is an element of one of the network's top-level sequences. Networks that are not a plain chain of their
    children (class tokens, several branches) are left whole: the trunk is then empty, and the tail's early
    parameters are frozen instead. Which of the two holds is decided by comparing outputs on `probe_BCHW`.

    Args:
        trained_blocks: 0 means all.
    """
    if trained_blocks == 0:
        return nn.Identity(), network
    units = _units(network)
    blocks = [i for i, (_, in_sequence) in enumerate(units) if in_sequence]
    if trained_blocks >= len(blocks):
        return nn.Identity(), network
    cut = blocks[-trained_blocks]
    trunk = nn.Sequential(*(unit for unit, _ in units[:cut]))
    tail = nn.Sequential(*(unit for unit, _ in units[cut:]), nn.Flatten())
    if not _same(network, nn.Sequential(trunk, tail), probe_BCHW):
        _freeze_before(network, units[cut][0])
        return nn.Identity(), network
    return trunk.requires_grad_(False), tail


def _units(network: nn.Module) -> list[tuple[nn.Module, bool]]:
    """Children in order, sequences opened up; with each, whether it came out of a sequence."""
    found: list[tuple[nn.Module, bool]] = []
    for child in network.children():
        found += _opened(child) if isinstance(child, nn.Sequential) else [(child, False)]
    return found


def _opened(sequence: nn.Sequential) -> list[tuple[nn.Module, bool]]:
    found: list[tuple[nn.Module, bool]] = []
    for child in sequence:
        found += _opened(child) if type(child) is nn.Sequential else [(child, True)]
    return found


@torch.no_grad()
def _same(network: nn.Module, chain: nn.Module, x_BCHW: Tensor) -> bool:
    whole = network(x_BCHW)
    try:
        parts = chain(x_BCHW)
    except (RuntimeError, TypeError, ValueError):
        return False
    return whole.shape == parts.shape and torch.allclose(whole, parts, atol=1e-5)


def _freeze_before(network: nn.Module, first_trained: nn.Module) -> None:
    trained = {id(p) for p in first_trained.parameters()}
    for parameter in network.parameters():
        if id(parameter) in trained:
            return
        parameter.requires_grad_(False)
