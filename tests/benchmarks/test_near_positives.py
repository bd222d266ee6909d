from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from agent.simclr import nt_xent
from benchmarks.near_positives import attracted

PICTURES = 5
FIRST, SECOND = torch.randn(2, PICTURES, 4, generator=Generator().manual_seed(0))
VIEWS = torch.cat([FIRST, SECOND])


def naive(z_MP: Tensor, temperature: float, positive_NN: Tensor) -> float:
    """Khosla et al. 2020, eq. 2, word by word."""
    z = F.normalize(z_MP, dim=1).tolist()
    like = [[math.exp(sum(a * b for a, b in zip(u, v, strict=True)) / temperature) for v in z] for u in z]
    of_each = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        positives = [j for j in others if positive_NN[i % PICTURES, j % PICTURES]]
        total = sum(like[i][j] for j in others)
        of_each.append(-sum(math.log(like[i][j] / total) for j in positives) / len(positives))
    return sum(of_each) / len(of_each)


def test_without_near_copies_it_is_nt_xent() -> None:
    alone_NN = torch.eye(PICTURES, dtype=torch.bool)
    torch.testing.assert_close(attracted(VIEWS, 0.2, alone_NN), nt_xent(FIRST, SECOND, 0.2))


def test_near_copies_attract_as_in_the_paper() -> None:
    positive_NN = torch.eye(PICTURES, dtype=torch.bool)
    positive_NN[1, 3] = positive_NN[3, 1] = True
    loss = attracted(VIEWS, 0.2, positive_NN).item()
    assert loss == pytest.approx(naive(VIEWS, 0.2, positive_NN), rel=1e-5)
    assert loss != pytest.approx(nt_xent(FIRST, SECOND, 0.2).item(), rel=1e-3)
