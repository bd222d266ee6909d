from __future__ import annotations

import copy

import pytest
import torch
from torch import Generator, Tensor, nn

from agent.depthwise import Depthwise, with_quick_depthwise
from agent.device import HOST
from tests.learners import bundled_encoder


def gradients(layer: nn.Module, x_BCHW: Tensor) -> list[Tensor]:
    """Of the picture, the weight and the bias, if any, after what the layer makes of the picture."""
    x = x_BCHW.clone().requires_grad_()
    y = layer(x)
    chance = torch.rand(y.shape, generator=Generator().manual_seed(1))
    return [y.detach(), *torch.autograd.grad((y * chance).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize(
    ("side", "kernel", "padding", "bias"),
    [(3, 5, 2, False), (3, 5, 2, True), (4, 7, 3, True), (1, 3, 1, False), (2, 5, 4, True), (4, 5, 1, False)],
)
def test_a_kernel_larger_than_the_picture_gives_what_torch_gives(
    side: int, kernel: int, padding: int, bias: bool
) -> None:
    plain = nn.Conv2d(6, 6, kernel, padding=padding, groups=6, bias=bias)
    network = with_quick_depthwise(nn.Sequential(copy.deepcopy(plain)))
    assert isinstance(network[0], Depthwise)
    x_BCHW = torch.rand(5, 6, side, side, generator=Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x_BCHW.contiguous(memory_format=layout)
        for quick, expected in zip(gradients(network[0], x), gradients(plain, x), strict=True):
            torch.testing.assert_close(quick, expected)


def test_pictures_that_are_not_square() -> None:
    plain = nn.Conv2d(4, 4, (5, 7), padding=(2, 3), groups=4, bias=False)
    quick = with_quick_depthwise(nn.Sequential(copy.deepcopy(plain)))
    x_BCHW = torch.rand(2, 4, 2, 4, generator=Generator().manual_seed(0))
    for ours, theirs in zip(gradients(quick[0], x_BCHW), gradients(plain, x_BCHW), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(6, 12, 5, padding=2, groups=6),
        nn.Conv2d(6, 6, 5, padding=2),
        nn.Conv2d(6, 6, 5, padding=2, groups=6, stride=2),
        nn.Conv2d(6, 6, 5, padding=4, groups=6, dilation=2),
        nn.Conv2d(6, 6, 5, padding="same", groups=6),
        nn.Conv2d(6, 6, 5, padding=2, groups=6, padding_mode="reflect"),
    ],
)
def test_other_convolutions_are_left_alone(layer: nn.Conv2d) -> None:
    assert with_quick_depthwise(nn.Sequential(layer))[0] is layer


def test_weights_are_kept_under_their_names() -> None:
    network = nn.Sequential(nn.Sequential(nn.Conv2d(3, 3, 5, padding=2, groups=3)), nn.ReLU())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    after = with_quick_depthwise(network).state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_the_bundled_networks_tail_has_them_and_its_gradients_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = bundled_encoder()
    tail = encoder.new_tail()
    assert sum(isinstance(module, Depthwise) for module in tail.modules()) >= 3
    with torch.no_grad():
        features = encoder.trunk(
            torch.rand(2, 3, encoder.image_px, encoder.image_px, generator=Generator().manual_seed(0), device=HOST)
        )
    parameters = [p for p in tail.parameters() if p.requires_grad]
    quick = torch.autograd.grad(tail(features).square().sum(), parameters)
    monkeypatch.setattr(Depthwise, "forward", nn.Conv2d.forward)
    plain = torch.autograd.grad(tail(features).square().sum(), parameters)
    for ours, theirs in zip(quick, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
