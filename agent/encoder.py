"""The network that turns pictures into vectors, split into a frozen trunk and a trained tail.

It knows nothing of learning, versions or storage. Shapes: B pictures, C channels, D features.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from agent.config import EncoderConfig
from agent.depthwise import with_quick_depthwise
from agent.device import HOST
from agent.fold import folded
from agent.small import SMALL_DIM, SmallNet
from agent.split import split
from agent.weights import EncoderError, load_backbone

__all__ = ["Encoder", "EncoderError", "build_encoder", "load_tail", "same_shapes", "square", "training_px"]

PIXELS_AT_ONCE = 2**18
"""What the trunk sees at once on a host, so that what its layers hand on stays in the caches."""
TAIL_PIXELS_AT_ONCE = 2**20
"""Of the pictures whose features a tail sees at once there."""


class Encoder(nn.Module):
    """`tail(trunk(x))`: `(B, 3, image_px, image_px)` in [0, 1] to `(B, dim)`.

    It stays in evaluation mode for ever: statistics of normalisation layers are those it was born with, because
    batches of a correlated stream would ruin them.
    """

    def __init__(self, trunk: nn.Module, tail: nn.Module, dim: int, image_px: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.tail = tail
        self.dim = dim
        self.image_px = image_px
        self.eval()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        features: Tensor = self.tail(self.trunk(x_BCHW))
        return features

    def new_tail(self, state: Mapping[str, Tensor] | None = None) -> nn.Module:
        """A copy of the tail of its own, with the weights of `state` if given.

        Raises:
            EncoderError: those are weights of another tail.
        """
        tail = copy.deepcopy(self.tail)
        if state is not None:
            load_tail(tail, state)
        return tail


def load_tail(tail: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Gives a tail the weights that were learned, in place.

    Raises:
        EncoderError: those are weights of another tail.
    """
    if not same_shapes(tail.state_dict(), state):
        raise EncoderError("what was learned is of another network, or of more or fewer of its blocks; "
                           "set encoder.* back, above all encoder.trained_blocks, or give another --data")  # fmt: skip
    tail.load_state_dict(dict(state))


def same_shapes(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether the weights of the one fit into the other."""
    return {key: tensor.shape for key, tensor in one.items()} == {key: tensor.shape for key, tensor in other.items()}


class _Trunk(nn.Module):
    """`layers`, a few pictures at a time."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return in_parts(self.layers, x_BCHW, PIXELS_AT_ONCE // x_BCHW.shape[2:].numel())


def in_parts(network: nn.Module, x_BCHW: Tensor, at_once: int) -> Tensor:
    """`network(x)`, on a host at most `at_once` pictures at a time: 1.7 times as fast for 192 pictures of 96 px."""
    parts_of = math.ceil(len(x_BCHW) / max(1, at_once)) if x_BCHW.device == HOST else 1
    parts = [network(part) for part in torch.chunk(x_BCHW, max(1, parts_of))]
    joined: Tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined


class _Normalise(nn.Module):
    """Per-channel (x - mean) / std."""

    mean_C11: Tensor
    std_C11: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean_C11", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std_C11", torch.tensor(std).view(3, 1, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return (x_BCHW - self.mean_C11) / self.std_C11


def build_encoder(config: EncoderConfig, seed: int) -> Encoder:
    """The encoder as it is born.

    Args:
        seed: of the random weights, where there are any.

    Raises:
        EncoderError: unknown backbone, or weights that cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, dim, normalise = _network(config)
    network.eval()
    # A network without learned weights has no stages worth freezing.
    trained_blocks = 0 if config.weights == "none" else config.trained_blocks
    probe = torch.linspace(-1, 1, 3 * config.image_px**2).view(1, 3, config.image_px, config.image_px)
    trunk, tail = split(network, trained_blocks, probe)
    layers = normalise, folded(trunk, probe)
    encoder = Encoder(_Trunk(*layers), with_quick_depthwise(tail), dim, config.image_px)
    return encoder.to(memory_format=torch.channels_last)  # measured 1.2 times as fast as contiguous on a CPU


def _network(config: EncoderConfig) -> tuple[nn.Module, int, nn.Module]:
    if config.backbone == "small":
        if config.weights != "none":
            raise EncoderError("encoder.backbone=small is trained from scratch and has no weights; "
                               "set encoder.weights=none")  # fmt: skip
        return SmallNet(), SMALL_DIM, _Normalise((0.5,) * 3, (0.5,) * 3)
    network = load_backbone(config.backbone, config.weights, config.image_px)
    if config.weights == "none":
        _groups_for_batches(network)
    cfg: dict[str, tuple[float, ...]] = network.pretrained_cfg  # type: ignore[assignment]
    with torch.no_grad():
        dim = network.eval()(torch.zeros(1, 3, config.image_px, config.image_px)).shape[-1]
    return network, dim, _Normalise(tuple(cfg["mean"]), tuple(cfg["std"]))


def _groups_for_batches(module: nn.Module) -> None:
    """Replaces batch normalisation by group normalisation, which needs no running statistics."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            norm = nn.GroupNorm(np.gcd(8, child.num_features).item(), child.num_features)
            act = [child.drop, child.act] if isinstance(child, BatchNormAct2d) else []
            setattr(module, name, nn.Sequential(norm, *act))
        else:
            _groups_for_batches(child)


def square(pixels_HWC: NDArray[np.uint8], side_px: int) -> Tensor:
    """The whole picture as a uint8 `(3, side_px, side_px)` tensor; stretched, so that nothing is cropped away."""
    if pixels_HWC.shape[:2] != (side_px, side_px):
        picture = Image.fromarray(pixels_HWC).resize((side_px, side_px), Image.Resampling.BICUBIC)
        pixels_HWC = np.asarray(picture)
    return torch.from_numpy(np.ascontiguousarray(pixels_HWC.transpose(2, 0, 1)))


def training_px(image_px: int) -> int:
    """Side of the squares kept for training: 1.15 times what the network sees, in eights, so that crops stay sharp."""
    return -(-round(image_px * 1.15) // 8) * 8
