"""The network that starts from nothing."""

from __future__ import annotations

import torch

from agent.small import SMALL_DIM, SmallNet


def test_a_picture_is_seen_alike_in_any_company() -> None:
    torch.manual_seed(0)
    network = SmallNet().eval()
    pictures = torch.rand(5, 3, 32, 32)
    together = network(pictures)
    assert together.shape == (5, SMALL_DIM)
    torch.testing.assert_close(network(pictures[2:3]), together[2:3], atol=1e-5, rtol=1e-4)
    network.train()
    torch.testing.assert_close(network(pictures), together)


def test_any_side_will_do_and_it_is_as_small_as_it_says() -> None:
    network = SmallNet()
    assert network(torch.rand(1, 3, 48, 40)).shape == (1, SMALL_DIM)
    assert 0.55e6 < sum(p.numel() for p in network.parameters()) < 0.65e6
