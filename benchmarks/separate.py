"""The augmentation of `agent.augment` as one would put it together: one operation of kornia after the other.

For the study of what a step costs; the chances are kornia's own, so views differ, and what they may be does not.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

from agent.config import AugmentConfig


def operations(config: AugmentConfig, side_px: int) -> nn.Module:
    """Crop and stretch, rotation, mirroring, colours, grey, blur; each with chances of its own for each picture."""
    from kornia import augmentation as kornia

    width_px, most_sigma_px = 2 * math.ceil(side_px / 32) + 1, 2.0 * side_px / 96
    return nn.Sequential(
        kornia.RandomResizedCrop(
            (side_px, side_px), scale=(config.crop_min, 1.0), ratio=(1 / config.aspect, config.aspect)
        ),
        kornia.RandomRotation(config.rotate_deg, p=1.0),
        kornia.RandomHorizontalFlip(p=config.flip),
        kornia.ColorJiggle(config.brightness, config.contrast, config.saturation, config.hue, p=config.jitter),
        kornia.RandomGrayscale(p=config.grey),
        kornia.RandomGaussianBlur((width_px, width_px), (0.1, most_sigma_px), p=config.blur),
    )


def augment_separately(x_BCHW: Tensor, config: AugmentConfig, side_px: int, generator: Generator) -> Tensor:
    """As `agent.augment.augment`; only a seed for kornia's chances is taken from the generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator, device=generator.device)))
        y: Tensor = operations(config, side_px)(x_BCHW.float() / 255)
    return y.clamp(0, 1).contiguous(memory_format=torch.channels_last)
