from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from agent.rgb import stretch, to_rgb


def test_a_16_bit_ramp_keeps_its_shades() -> None:
    ramp = np.linspace(0, 65535, 256 * 64).astype(np.uint16).reshape(64, 256)
    wide = Image.fromarray(ramp)
    assert wide.mode == "I;16"
    grey = np.asarray(to_rgb(wide))[..., 0]
    assert len(np.unique(grey)) > 250
    assert (grey == 255).mean() < 0.02
    assert (np.diff(grey.astype(int).ravel()) >= 0).all()


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4", "<f4"])
def test_a_narrow_band_in_any_wide_type_is_spread_out(dtype: str) -> None:
    thermal = np.linspace(7000, 8000, 4096).reshape(64, 64).astype(dtype)
    grey = stretch(thermal)
    assert grey.dtype == np.uint8
    assert grey.min() == 0
    assert grey.max() == 255
    assert 120 < grey.mean() < 135


def test_not_a_number_is_black_and_infinity_does_not_hide_the_rest() -> None:
    values = np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64)
    values[0, :2] = np.nan, np.inf
    grey = stretch(values)
    assert grey[0, 0] == 0
    assert len(np.unique(grey)) > 200
    assert (stretch(np.full((4, 4), np.nan, np.float32)) == 0).all()


def test_few_stars_in_a_black_sky_are_seen() -> None:
    sky = np.zeros((100, 100), np.uint16)
    sky[5, 5] = 900
    assert stretch(sky).max() == 255


@pytest.mark.parametrize(("level", "grey"), [(0, 0), (128, 128), (65535, 255), (2048, 128)])
def test_one_single_grey_goes_by_bit_depth(level: int, grey: int) -> None:
    assert stretch(np.full((4, 4), level, np.uint16))[0, 0] == pytest.approx(grey, abs=1)


def test_transparency_is_laid_on_white() -> None:
    drawn = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    drawn.putpixel((0, 0), (200, 0, 0, 255))
    rgb = to_rgb(drawn)
    assert rgb.getpixel((0, 0)) == (200, 0, 0)
    assert rgb.getpixel((1, 0)) == (255, 255, 255)


def test_an_alpha_channel_that_was_never_filled_hides_nothing() -> None:
    assert to_rgb(Image.new("RGBA", (2, 2), (10, 20, 30, 0))).getpixel((0, 0)) == (10, 20, 30)


def test_a_transparent_palette_colour_is_white_too() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 0
    rgb = to_rgb(image)
    assert rgb.getpixel((0, 0)) == (255, 255, 255)
    assert rgb.getpixel((1, 0)) == (0, 0, 255)


@pytest.mark.parametrize("mode", sorted({*Image.MODES, "I;16B", "I;16L", "RGBa"} - {"La"}))
def test_every_mode_becomes_rgb(mode: str) -> None:
    rgb = to_rgb(Image.new(mode, (5, 4)))
    assert (rgb.mode, rgb.size) == ("RGB", (5, 4))


def test_cmyk_red_is_red() -> None:
    red, green, blue = np.asarray(to_rgb(Image.new("CMYK", (1, 1), (0, 255, 255, 0))))[0, 0]
    assert red > 200
    assert max(green, blue) < 60
