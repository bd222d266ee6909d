"""A uniform sample of an endless stream, balanced over the kinds it holds.

It keeps numbers, not pictures: whose they are is for `agent.replay` to know.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.utils.data import TensorDataset

from agent.avalanche_parts import AvalancheDataset, ReservoirSamplingBuffer

GroupOf = Callable[[Tensor], Tensor]


class BalancedReservoir(ReservoirSamplingBuffer):  # type: ignore[misc]  # Avalanche is untyped
    """Avalanche's reservoir (a random key a sample, the highest keys stay) made fit for an endless stream.

    Avalanche's own keeps every sample that it ever saw alive, because a subset of a concatenation holds on to its
    parents: 1,500 updates of 10 pictures took 8 times the memory, and each update longer than the one before. Here
    the buffer is a tensor of numbers, and a dataset only when somebody asks for one. Room is made by dropping the
    lowest key of the largest group, so that within a group it stays a uniform sample; with one group this is
    Avalanche's rule exactly.

    Args:
        group_of: `(N,)` numbers to `(N,)` groups, by what is known now.
        generator: on the host; draws the keys.
    """

    def __init__(self, max_size: int, group_of: GroupOf, generator: Generator) -> None:
        with generator.device:
            super().__init__(max_size)
            self._numbers = torch.zeros(0, dtype=torch.long)
        self._group_of = group_of
        self._generator = generator

    @property
    def buffer(self) -> AvalancheDataset:
        return AvalancheDataset([TensorDataset(self._numbers)])

    @buffer.setter
    def buffer(self, dataset: AvalancheDataset) -> None:
        self._numbers = torch.tensor([int(row[0]) for row in dataset], device=self._generator.device)

    @property
    def numbers_N(self) -> Tensor:
        """What is kept, highest key first."""
        return self._numbers

    @property
    def keys_N(self) -> Tensor:
        return self._buffer_weights

    def update_from_dataset(self, new_data: AvalancheDataset) -> None:
        """Offers numbers to the reservoir: Avalanche's verb."""
        self.offer(torch.tensor([int(row[0]) for row in new_data], device=self._generator.device))

    def offer(self, numbers_N: Tensor) -> Tensor:
        """Offers numbers to the reservoir; returns those that it has no room for, which may be among the new."""
        keys = torch.rand(len(numbers_N), generator=self._generator, device=self._generator.device)
        return self._keep(torch.cat([numbers_N, self._numbers]), torch.cat([keys, self._buffer_weights]))

    def resize(self, strategy: object, new_size: int) -> None:
        self.max_size = new_size
        self._keep(self._numbers, self._buffer_weights)

    def restore(self, numbers_N: Tensor, keys_N: Tensor) -> None:
        self._numbers, self._buffer_weights = numbers_N.clone(), keys_N.clone()

    def _keep(self, numbers_N: Tensor, keys_N: Tensor) -> Tensor:
        keys_N, order = keys_N.sort(descending=True)
        numbers_N = numbers_N[order]
        stays = _balanced(self._group_of(numbers_N), self.max_size)
        self._numbers, self._buffer_weights = numbers_N[stays], keys_N[stays]
        return numbers_N[~stays]


def _balanced(groups_N: Tensor, room: int) -> Tensor:
    """`(N,)` bool: the first of each group, as many of each as fit when the largest groups give way."""
    _, group_N, size_G = groups_N.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    by_group_N = torch.argsort(group_N, stable=True)
    first_G = size_G.cumsum(0) - size_G
    rank_N = torch.empty_like(group_N)
    rank_N[by_group_N] = torch.arange(len(group_N), device=groups_N.device) - first_G[group_N[by_group_N]]
    # Whoever ranks low in his group stays; among equals, the one with the higher key.
    order = torch.argsort(rank_N, stable=True)
    stays = torch.zeros(len(groups_N), dtype=torch.bool, device=groups_N.device)
    stays[order[:room]] = True
    return stays
