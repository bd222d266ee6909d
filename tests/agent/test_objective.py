from __future__ import annotations

import math

import torch
from torch import Generator

from agent.objective import alignment, near_copies, one_burst


def test_alignment_pulls_the_student_only() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    teacher = torch.tensor([[2.0, 0.0], [3.0, 0.0]], requires_grad=True)
    loss = alignment(student, teacher)
    assert float(loss.detach()) == -0.5
    loss.backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert teacher.grad is None


def test_near_copies_by_cosine() -> None:
    angle = torch.tensor([0.0, 0.1, 1.0, 2.0, 3.0])
    innate = torch.stack([angle.cos(), angle.sin()], dim=1)
    mask = near_copies(innate, cosine=0.9)
    assert mask[0, 1]
    assert mask[1, 0]
    assert mask.diagonal().all()
    assert int(mask.sum()) == 5 + 2


def test_where_all_look_alike_most_pairs_still_repel() -> None:
    generator = Generator().manual_seed(0)
    alike = torch.nn.functional.normalize(10 + torch.randn(40, 16, generator=generator), dim=1)
    assert (alike @ alike.T).min() > 0.9
    mask = near_copies(alike, cosine=0.9)
    assert 0.2 < float(mask.float().mean()) < 0.25 + 2 / 40


def taken(*seconds: float) -> torch.Tensor:
    return torch.tensor(seconds, dtype=torch.float64)


def test_a_burst_is_of_one_source_and_within_its_time() -> None:
    taken_N = taken(*range(0, 1_000, 100), 1_000.0, 1_002.0, 1_002.5, 1_006.0, math.nan, math.nan)
    source_N = torch.tensor([7] * 10 + [7, 7, 8, 7, 7, 7])
    burst = one_burst(taken_N, source_N, within_s=3.0)
    assert burst.nonzero().tolist() == [[10, 11], [11, 10]]
    assert not one_burst(taken_N, source_N, within_s=0.0).any()


def test_times_of_today_are_told_apart_by_less_than_a_second() -> None:
    now = 1_795_600_000.0
    taken_N = taken(*(now + 60 * n for n in range(8)), now + 0.25, now + 60.75)
    burst = one_burst(taken_N, torch.zeros(10, dtype=torch.long), within_s=0.5)
    assert burst.nonzero().tolist() == [[0, 8], [8, 0]]


def test_pictures_that_were_all_taken_at_once_still_repel() -> None:
    everything = torch.zeros(40, dtype=torch.long)
    assert not one_burst(taken(*[5.0] * 40), everything, within_s=3.0).any()
    in_a_hurry = one_burst(taken(*(0.01 * n for n in range(40))), everything, within_s=3.0)
    assert 0.15 < float(in_a_hurry.float().mean()) <= 0.25
    assert torch.equal(in_a_hurry, in_a_hurry.T)
    assert not one_burst(taken(3.0), torch.zeros(1, dtype=torch.long), within_s=3.0).any()
