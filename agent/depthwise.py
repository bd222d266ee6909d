"""Depthwise convolutions whose kernel is larger than what they see, with a backward pass that is quick on a CPU.

There PyTorch's own takes a hundred times the forward pass (measured: 400 ms and 3 ms for 192 pictures of 1,152
channels, 3 x 3, under a kernel of 5 x 5; here 25 ms), a third of a whole training step of the default network.
Shapes: B pictures, C channels, H x W in, k x k kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from agent.device import HOST

Network = TypeVar("Network", bound=nn.Module)


class Depthwise(nn.Conv2d):
    """`nn.Conv2d` with a filter a channel and stride 1: the same parameters, the same numbers."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        is_small = max(x_BCHW.shape[2:]) < min(self.kernel_size)
        if is_small and x_BCHW.device == HOST and x_BCHW.dtype == self.weight.dtype:
            convolved: Tensor = _SmallPicture.apply(x_BCHW, self.weight, self.padding)
            return convolved if self.bias is None else convolved + self.bias.view(-1, 1, 1)
        return super().forward(x_BCHW)


def with_quick_depthwise(network: Network) -> Network:
    """`network` itself, its depthwise convolutions replaced where the quick pass may serve; parameters are kept."""
    for name, child in network.named_children():
        if type(child) is nn.Conv2d and _may_be_quick(child):
            setattr(network, name, _replaced(child))
        else:
            with_quick_depthwise(child)
    return network


def _may_be_quick(layer: nn.Conv2d) -> bool:
    one_filter_each = layer.groups == layer.in_channels == layer.out_channels > 1
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return one_filter_each and plain and isinstance(layer.padding, tuple) and min(layer.kernel_size) > 1


def _replaced(layer: nn.Conv2d) -> Depthwise:
    shape: dict[str, Any] = {name: getattr(layer, name) for name in ("kernel_size", "padding", "groups")}
    quick = Depthwise(layer.in_channels, layer.out_channels, bias=False, device="meta", **shape)
    quick.weight, quick.bias = layer.weight, layer.bias
    return quick.train(layer.training)


class _SmallPicture(torch.autograd.Function):
    """Forward as ever; backward the transposed convolution forward, and a sum over the few places a tap meets."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, weight_C1KK: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight_C1KK)
        ctx.padding = padding
        return F.conv2d(x_BCHW, weight_C1KK, padding=padding, groups=len(weight_C1KK))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BCHW: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x_BCHW, weight_C1KK = ctx.saved_tensors
        to_x, to_weight, _ = ctx.needs_input_grad
        return (
            _of_input(gradient_BCHW, weight_C1KK, x_BCHW, ctx.padding) if to_x else None,
            _of_weight(gradient_BCHW, x_BCHW, weight_C1KK, ctx.padding) if to_weight else None,
            None,
        )


def _of_input(gradient_BCHW: Tensor, weight_C1KK: Tensor, x_BCHW: Tensor, padding: tuple[int, int]) -> Tensor:
    """The gradient convolved with the kernel turned by half: by the forward pass, which is quick."""
    around = [k - 1 - p for k, p in zip(weight_C1KK.shape[2:], padding, strict=True)]
    return F.conv2d(gradient_BCHW, weight_C1KK.flip(2, 3), padding=tuple(around), groups=len(weight_C1KK))


def _of_weight(gradient_BCHW: Tensor, x_BCHW: Tensor, weight_C1KK: Tensor, padding: tuple[int, int]) -> Tensor:
    """Each tap's share, from the pictures' parts that it touches without padding."""
    to_weight = torch.zeros_like(weight_C1KK)
    rows, columns = (
        list(_overlaps(weight_C1KK.shape[axis], x_BCHW.shape[axis], gradient_BCHW.shape[axis], padding[axis - 2]))
        for axis in (2, 3)
    )
    for i, seen_rows, made_rows in rows:
        for j, seen_columns, made_columns in columns:
            seen, made = x_BCHW[:, :, seen_rows, seen_columns], gradient_BCHW[:, :, made_rows, made_columns]
            to_weight[:, 0, i, j] = (seen * made).sum(dim=(0, 2, 3))
    return to_weight


def _overlaps(taps: int, seen: int, made: int, padding: int) -> Iterator[tuple[int, slice, slice]]:
    """Each tap that touches the picture, where it reads, and where that goes: read = made - padding + tap."""
    for tap in range(taps):
        shift = tap - padding
        first, last = max(0, -shift), min(made, seen - shift)
        if first < last:
            yield tap, slice(first + shift, last + shift), slice(first, last)
