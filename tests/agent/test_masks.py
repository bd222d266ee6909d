"""Masks as people write them."""

from __future__ import annotations

import pytest

from agent.masks import FORM, parse, polygons_of


def test_a_mask_is_a_name_and_corners() -> None:
    assert parse("front=0,0 0.3,0 0.3,0.1") == ("front", ((0.0, 0.0), (0.3, 0.0), (0.3, 0.1)))


@pytest.mark.parametrize(
    "text",
    ["", "front", "front=", "=0,0 1,0 1,1", "front=0,0 1,1", "front=0,0 1,0 1,2", "front=0,0 1 1,1", "f=a,b c,d e"],
)
def test_what_is_none_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match="upper left corner") as error:
        parse(text)
    assert str(error.value) == FORM


def test_each_camera_has_its_own() -> None:
    masks = ["a=0,0 1,0 1,1", "b=0,0 0.5,0 0.5,1", "a=0,0 0,1 1,1"]
    assert len(polygons_of("a", masks)) == 2
    assert polygons_of("c", masks) == ()
