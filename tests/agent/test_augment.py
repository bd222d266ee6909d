from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from agent.augment import _hue_turn, augment, whole_view
from agent.config import AugmentConfig

X = torch.randint(0, 256, (6, 3, 40, 40), dtype=torch.uint8, generator=Generator().manual_seed(0))
STILL: dict[str, Any] = {"crop_min": 1.0, "aspect": 1.0, "rotate_deg": 0.0, "jitter": 0.0, "grey": 0.0, "blur": 0.0}


def view(seed: int = 0, side_px: int = 40, **settings: Any) -> Tensor:
    return augment(X, AugmentConfig(**settings), side_px, Generator().manual_seed(seed))


def test_views_follow_the_seed_alone() -> None:
    assert torch.equal(view(seed=1), view(seed=1))
    assert not torch.equal(view(seed=1), view(seed=2))


def test_shape_type_range_and_layout() -> None:
    y = view(side_px=32)
    assert y.shape == (6, 3, 32, 32)
    assert y.dtype == torch.float32
    assert 0 <= float(y.min()) <= float(y.max()) <= 1
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_no_chance_no_change() -> None:
    torch.testing.assert_close(view(**STILL), X / 255, atol=1e-5, rtol=0)


def test_mirrored() -> None:
    torch.testing.assert_close(view(**STILL | {"flip": 1.0}), X.flip(3) / 255, atol=1e-5, rtol=0)


def test_a_crop_shows_a_part_of_the_picture_and_not_its_rim_repeated() -> None:
    """A ramp from left to right: views are ramps, less steep by the width of the crop."""
    ramp = torch.linspace(0, 255, 40).round().to(torch.uint8).expand(64, 3, 40, 40)
    settings = AugmentConfig(**STILL | {"crop_min": 0.3})
    y = augment(ramp, settings, 40, Generator().manual_seed(0))
    span = y[:, 0, 20, -1] - y[:, 0, 20, 0]
    assert float(span.min()) > math.sqrt(0.3) * 0.95
    assert float(span.max()) <= 1
    assert float(span.std()) > 0.05


def test_turned_by_the_angle_that_was_drawn() -> None:
    """A bright dot above the middle is found again at that angle, its distance kept."""
    dot = torch.zeros(50, 3, 41, 41, dtype=torch.uint8)
    dot[:, :, 11, 20] = 255
    y = augment(dot, AugmentConfig(**STILL | {"rotate_deg": 90.0}), 41, Generator().manual_seed(0))[:, 0]
    weight = y / y.sum(dim=(1, 2), keepdim=True)
    offset = torch.arange(41.0) - 20
    row, column = (weight.sum(2) * offset).sum(1), (weight.sum(1) * offset).sum(1)
    drawn = (2 * torch.rand(16, 50, generator=Generator().manual_seed(0))[2] - 1) * math.pi / 2
    torch.testing.assert_close(torch.hypot(row, column), torch.full((50,), 9.0), atol=0.5, rtol=0)
    torch.testing.assert_close(torch.atan2(-column, -row), drawn, atol=0.06, rtol=0)


def test_grey_pictures_have_one_colour() -> None:
    y = view(**STILL | {"grey": 1.0})
    luma = (X / 255 * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(y, luma.expand_as(y), atol=1e-5, rtol=0)


def test_a_third_of_the_colour_circle_exchanges_the_channels() -> None:
    turn = _hue_turn(torch.tensor([2 * math.pi / 3]))[0]
    torch.testing.assert_close(turn @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(turn @ torch.ones(3), torch.ones(3))


def test_one_matrix_equals_brightness_contrast_saturation_and_hue_one_after_the_other() -> None:
    dull = (96 + X // 4).to(torch.uint8)  # far from the limits, so that nothing is cut off on the way
    config = AugmentConfig(**STILL | {"jitter": 1.0, "grey": 0.0})
    y = augment(dull, config, 40, Generator().manual_seed(3))

    draws = torch.rand(16, 6, generator=Generator().manual_seed(3))
    strength = [1 + s * (2 * d - 1) for s, d in zip((0.4, 0.4, 0.2), draws[7:10], strict=True)]
    brightness, contrast, saturation = (s.view(-1, 1, 1, 1) for s in strength)
    turn = _hue_turn(AugmentConfig().hue * (2 * draws[10] - 1) * 2 * math.pi)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)

    expected = dull / 255 * brightness
    mean_grey = (expected * luma).sum(1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    expected = contrast * expected + (1 - contrast) * mean_grey
    expected = torch.einsum("bij,bjhw->bihw", turn, expected)
    expected = saturation * expected + (1 - saturation) * (expected * luma).sum(1, keepdim=True)
    torch.testing.assert_close(y, expected.clamp(0, 1), atol=1e-4, rtol=0)


def test_blur_touches_the_chosen_ones_only() -> None:
    many = X.repeat(5, 1, 1, 1)
    sharp, y = many / 255, augment(many, AugmentConfig(**STILL | {"blur": 0.5}), 40, Generator().manual_seed(0))
    changed = (y - sharp).abs().amax(dim=(1, 2, 3)) > 1e-2
    assert 5 < int(changed.sum()) < 25
    roughness = (y.diff(dim=3).abs().mean(dim=(1, 2, 3)) / sharp.diff(dim=3).abs().mean(dim=(1, 2, 3)))[changed]
    assert float(roughness.max()) < 1


@pytest.mark.parametrize("side_px", [20, 40])
def test_the_whole_view_is_the_picture(side_px: int) -> None:
    y = whole_view(X, side_px)
    assert y.shape == (6, 3, side_px, side_px)
    torch.testing.assert_close(y.mean(dim=(2, 3)), X.float().mean(dim=(2, 3)) / 255, atol=2e-2, rtol=0)
