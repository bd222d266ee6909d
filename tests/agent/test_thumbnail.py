from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agent.thumbnail import encode_thumbnail, pixels_of, shrink, thumbnail_size


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(32, 512))
def test_the_size_fits_keeps_proportions_and_never_grows(width: int, height: int, long_side_px: int) -> None:
    small = thumbnail_size((width, height), long_side_px)
    assert max(small) <= long_side_px
    assert 1 <= small[0] <= width
    assert 1 <= small[1] <= height
    assert abs(small[0] * height - small[1] * width) <= max(width, height)  # off by less than one pixel


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_small_pictures_are_kept_to_the_last_bit() -> None:
    image = noise(64, 64)
    thumbnail = encode_thumbnail(shrink(image, 256))
    assert thumbnail.startswith(b"\x89PNG")
    np.testing.assert_array_equal(pixels_of(thumbnail), np.asarray(image))


def test_photographs_become_jpeg_without_chroma_subsampling() -> None:
    thumbnail = encode_thumbnail(shrink(noise(400, 300), 256))
    assert thumbnail.startswith(b"\xff\xd8\xff")
    pixels_HWC = pixels_of(thumbnail)
    assert pixels_HWC.shape == (192, 256, 3)
    start = thumbnail.index(b"\xff\xc0")
    assert thumbnail[start + 11 : start + 12] == b"\x11", "luma is sampled as often as chroma"


def test_pixels_are_writable_and_the_same_every_time() -> None:
    thumbnail = encode_thumbnail(noise(100, 80))
    pixels_HWC = pixels_of(thumbnail)
    assert pixels_HWC.flags.writeable
    assert pixels_HWC.dtype == np.uint8
    np.testing.assert_array_equal(pixels_HWC, pixels_of(thumbnail))


def test_a_picture_within_the_limit_is_not_touched() -> None:
    image = noise(256, 30)
    assert shrink(image, 256) is image


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_hair_keeps_one_pixel(size: tuple[int, int]) -> None:
    assert min(shrink(Image.new("RGB", size), 256).size) == 1


SCALES = [(None, (192, 256, 3)), (97, (192, 256, 3)), (96, (96, 128, 3)), (40, (48, 64, 3))]


@pytest.mark.parametrize(("least_px", "shape"), SCALES)
def test_a_smaller_scale_that_suffices(least_px: int | None, shape: tuple[int, ...]) -> None:
    thumbnail = encode_thumbnail(Image.linear_gradient("L").convert("RGB").resize((256, 192)))
    pixels = pixels_of(thumbnail, least_px)
    assert pixels.shape == shape
    assert np.array_equal(pixels, pixels_of(thumbnail, least_px))
    assert abs(float(pixels.mean()) - float(pixels_of(thumbnail).mean())) < 1
