from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn

from agent.split import split


def network(name: str, **size: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **size).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.linspace(-0.1, 0.1, module.num_features)
            module.running_var = torch.linspace(0.5, 2, module.num_features)
    return made


X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
def test_the_halves_make_the_whole(name: str) -> None:
    whole = network(name)
    expected = whole(X)
    trunk, tail = split(whole, 2, X)
    assert len(list(trunk.parameters())) > 0
    torch.testing.assert_close(tail(trunk(X)), expected)


def test_a_network_that_is_no_chain_is_left_whole_with_its_early_blocks_frozen() -> None:
    whole = network("vit_tiny_patch16_224", img_size=32)
    trunk, tail = split(whole, 3, X)
    assert isinstance(trunk, nn.Identity)
    trained = {name.split(".")[1] for name, p in tail.named_parameters() if p.requires_grad and "blocks" in name}
    assert trained == {"9", "10", "11"}


@pytest.mark.parametrize("blocks", [0, 99])
def test_everything_is_trained_when_asked(blocks: int) -> None:
    whole = network("resnet10t")
    trunk, tail = split(whole, blocks, X)
    assert isinstance(trunk, nn.Identity)
    assert all(p.requires_grad for p in tail.parameters())
