"""Random views of pictures for contrastive learning, in batches and on the device that holds them.

Crop, stretch, rotation and mirroring are one resampling; brightness, contrast, saturation, hue and grey are one 3x4
matrix a picture. All chances are drawn by the generator that is passed in, then moved to the pictures without waiting
for their device, so a view depends on the seed alone. It knows nothing of the loss. Shapes: B pictures, S side.

Source of the recipe: Chen et al. 2020 (SimCLR), appendix A.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from agent.config import AugmentConfig
from agent.device import upload

_LUMA = (0.299, 0.587, 0.114)


def augment(x_BCHW: Tensor, config: AugmentConfig, side_px: int, generator: Generator) -> Tensor:
    """One random view of each picture.

    Args:
        x_BCHW: uint8 RGB.
        generator: on the host; advanced by an amount that depends on B alone.

    Returns:
        `(B, 3, side_px, side_px)` float32 in [0, 1], channels last.
    """
    chances = _Chances(x_BCHW.shape[0], generator)
    placement_B23 = upload(_placement(chances, config), x_BCHW.device)
    grid = F.affine_grid(placement_B23, [len(x_BCHW), 3, side_px, side_px], align_corners=False)
    y = F.grid_sample(x_BCHW.float(), grid, padding_mode="reflection", align_corners=False)
    y = _recolour(y, chances, config)
    y = _blur_some(y, chances, config)
    return y.contiguous(memory_format=torch.channels_last)


def whole_view(x_BCHW: Tensor, side_px: int) -> Tensor:
    """The pictures as they are, `(B, 3, side_px, side_px)` float32 in [0, 1], channels last."""
    y = F.interpolate(x_BCHW.float() / 255, (side_px, side_px), mode="bilinear", antialias=True)
    return y.contiguous(memory_format=torch.channels_last)


class _Chances:
    """Uniform draws, one row a picture."""

    def __init__(self, pictures: int, generator: Generator) -> None:
        self._draws = iter(torch.rand(16, pictures, generator=generator, device=generator.device))

    def between(self, low: float, high: float) -> Tensor:
        draw: Tensor = next(self._draws)
        return low + (high - low) * draw

    def happens(self, probability: float) -> Tensor:
        draw: Tensor = next(self._draws)
        return draw < probability


def _placement(chances: _Chances, config: AugmentConfig) -> Tensor:
    """`(B, 2, 3)`: where in the picture, in coordinates from -1 to 1, each point of the view is taken from."""
    area = chances.between(config.crop_min, 1.0)
    stretch = torch.exp(chances.between(-1.0, 1.0) * math.log(config.aspect) / 2)
    width = (area.sqrt() * stretch).clamp(max=1)
    height = (area.sqrt() / stretch).clamp(max=1)
    angle = chances.between(-1.0, 1.0) * math.radians(config.rotate_deg)
    mirror = 1 - 2 * chances.happens(config.flip).float()
    left_right = chances.between(-1.0, 1.0) * (1 - width)
    up_down = chances.between(-1.0, 1.0) * (1 - height)
    row_x = torch.stack([width * mirror * angle.cos(), -width * angle.sin(), left_right], dim=1)
    row_y = torch.stack([height * mirror * angle.sin(), height * angle.cos(), up_down], dim=1)
    return torch.stack([row_x, row_y], dim=1)


def _recolour(y_B3SS: Tensor, chances: _Chances, config: AugmentConfig) -> Tensor:
    """Colours through one matrix a picture, which also brings 0..255 to 0..1.

    Contrast moves colours towards the mean grey; that is an offset along the grey axis, which turning hues and
    fading colours leave alone, so the order of the four does not matter to it.
    """
    jitter = chances.happens(config.jitter).float()
    brightness = 1 + jitter * chances.between(-config.brightness, config.brightness)
    contrast = 1 + jitter * chances.between(-config.contrast, config.contrast)
    saturation = 1 + jitter * chances.between(-config.saturation, config.saturation)
    turn = jitter * chances.between(-config.hue, config.hue) * 2 * math.pi
    saturation = torch.where(chances.happens(config.grey), 0.0, saturation)

    luma_3 = torch.tensor(_LUMA, device=jitter.device)
    fade_B33 = _mix(saturation, torch.eye(3, device=jitter.device), luma_3.expand(3, 3))
    matrix_B33 = fade_B33 @ _hue_turn(turn) * (brightness * contrast / 255).view(-1, 1, 1)

    device = y_B3SS.device
    mean_grey_B = y_B3SS.mean(dim=(2, 3)) @ upload(luma_3, device)
    offset_B = mean_grey_B * upload(brightness * (1 - contrast) / 255, device)
    flat = torch.baddbmm(offset_B.view(-1, 1, 1), upload(matrix_B33, device), y_B3SS.flatten(2))
    return flat.clamp_(0, 1).view_as(y_B3SS)


def _mix(share_B: Tensor, one: Tensor, other: Tensor) -> Tensor:
    share = share_B.view(-1, 1, 1)
    return share * one + (1 - share) * other


def _hue_turn(angle_B: Tensor) -> Tensor:
    """`(B, 3, 3)`: rotation of the colour cube about its grey diagonal (Rodrigues)."""
    cos, sin = angle_B.cos().view(-1, 1, 1), angle_B.sin().view(-1, 1, 1)
    one = torch.eye(3, device=angle_B.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angle_B.device) / math.sqrt(3)
    return cos * one + sin * cross + (1 - cos) / 3


def _blur_some(y_BCSS: Tensor, chances: _Chances, config: AugmentConfig) -> Tensor:
    """Gaussian blur of the pictures that chance picks, each with a strength of its own."""
    picked = chances.happens(config.blur).nonzero().flatten()
    side_px = y_BCSS.shape[-1]
    sigma_px = chances.between(0.1, 2.0)[picked] * side_px / 96
    if len(picked) == 0:
        return y_BCSS
    from kornia.filters import gaussian_blur2d  # a second to import, and needed by training only

    width_px = 2 * math.ceil(side_px / 32) + 1
    chosen = upload(picked, y_BCSS.device)
    # Strengths stay on the host: kornia checks that they are positive, and must not wait for the device to do so.
    sigma_N2 = sigma_px.view(-1, 1).expand(-1, 2)
    blurred = gaussian_blur2d(y_BCSS.index_select(0, chosen), (width_px, width_px), sigma_N2, "reflect")
    return y_BCSS.index_copy(0, chosen, blurred)
