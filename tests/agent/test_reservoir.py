from __future__ import annotations

import torch
from scipy.stats import chisquare
from torch import Generator, Tensor
from torch.utils.data import TensorDataset

from agent.avalanche_parts import AvalancheDataset
from agent.reservoir import BalancedReservoir


def one_group(numbers_N: Tensor) -> Tensor:
    return torch.zeros_like(numbers_N)


def by_hundred(numbers_N: Tensor) -> Tensor:
    return numbers_N // 100


def filled(stream: list[list[int]], room: int, seed: int = 0, group_of: object = one_group) -> BalancedReservoir:
    reservoir = BalancedReservoir(room, group_of, Generator().manual_seed(seed))  # type: ignore[arg-type]
    for batch in stream:
        reservoir.offer(torch.tensor(batch))
    return reservoir


def test_everyone_is_as_likely_to_stay() -> None:
    stream = [list(range(start, start + 5)) for start in range(0, 50, 5)]
    counts = torch.zeros(50)
    for seed in range(600):
        counts[filled(stream, room=10, seed=seed).numbers_N] += 1
    assert counts.sum() == 6000
    assert chisquare(counts.numpy()).pvalue > 0.01


def test_groups_share_the_room_and_small_ones_keep_everything() -> None:
    stream = [[n] for n in [*range(100), *range(100, 103), *range(200, 250)]]
    groups = by_hundred(filled(stream, room=20, group_of=by_hundred).numbers_N)
    sizes = groups.bincount()
    assert sizes[1] == 3
    assert sorted([int(sizes[0]), int(sizes[2])]) == [8, 9]


def test_within_a_group_it_stays_uniform() -> None:
    stream = [[n] for n in [*range(30), *range(100, 130)]]
    counts = torch.zeros(200)
    for seed in range(500):
        counts[filled(stream, room=10, seed=seed, group_of=by_hundred).numbers_N] += 1
    assert chisquare(counts[:30].numpy()).pvalue > 0.01
    assert chisquare(counts[100:130].numpy()).pvalue > 0.01


def test_whoever_leaves_is_named_once() -> None:
    reservoir = BalancedReservoir(4, one_group, Generator().manual_seed(0))
    left = [n for start in range(0, 40, 4) for n in reservoir.offer(torch.arange(start, start + 4)).tolist()]
    assert sorted([*left, *reservoir.numbers_N.tolist()]) == list(range(40))


def test_it_speaks_avalanche() -> None:
    reservoir = BalancedReservoir(4, one_group, Generator().manual_seed(0))
    for start in range(0, 40, 10):
        reservoir.update_from_dataset(AvalancheDataset([TensorDataset(torch.arange(start, start + 10))]))
    assert [int(row[0]) for row in reservoir.buffer] == reservoir.numbers_N.tolist()
    assert len(reservoir.buffer) == 4
    highest = reservoir.numbers_N[:2].tolist()
    reservoir.resize(None, 2)
    assert reservoir.numbers_N.tolist() == highest


def test_it_goes_on_from_its_state() -> None:
    first = filled([list(range(20))], room=5, seed=1)
    second = BalancedReservoir(5, one_group, Generator().manual_seed(9))
    second.restore(first.numbers_N, first.keys_N)
    second._generator.set_state(first._generator.get_state())
    assert torch.equal(first.offer(torch.arange(20, 40)), second.offer(torch.arange(20, 40)))
    assert torch.equal(first.numbers_N, second.numbers_N)
