"""A folded trunk gives the same numbers with fewer layers."""

from __future__ import annotations

import torch
from torch import nn

from agent.fold import folded
from agent.split import split
from tests.agent.test_split import X, network


def test_folding_keeps_the_output_and_drops_the_normalisation() -> None:
    trunk, _ = split(network("tf_efficientnet_lite0"), 6, X)
    lean = folded(trunk, X)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in lean.modules())
    torch.testing.assert_close(lean(X), trunk(X), atol=1e-4, rtol=1e-3)


def test_layers_that_do_not_follow_each_other_are_not_folded() -> None:
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.conv(self.norm(x)) + self.norm(x)
            return out

    crossed = Crossed().eval()
    crossed.norm.running_mean = torch.tensor([0.1, 0.2, 0.3])
    assert folded(crossed, X) is crossed
