from __future__ import annotations

import torch
from torch import Generator

from agent.objective import alignment, near_copies


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
