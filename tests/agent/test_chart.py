"""The map as a picture."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from PIL import Image, ImageColor

from agent.chart import GROWTH, NOTHING_YET, SIDE_PX, Label, draw_map_png, draw_map_svg, scale_of
from agent.colours import colour_of
from storage.rows import PlaceRow

SVG = "{http://www.w3.org/2000/svg}"
PLACES = [PlaceRow("a", 4, 0, 2), PlaceRow("b", -4, 0, 1), PlaceRow("c", -4, 4, 1), PlaceRow("d", 0, -4, None)]


def of_class(svg: str, name: str) -> list[ET.Element]:
    return [one for one in ET.fromstring(svg).iter() if one.get("class") == name]


def at(image: Image.Image, x: float, y: float) -> object:
    across, down = scale_of(PLACES).px(x, y)
    return image.getpixel((round(across), round(down)))


def test_dots_lie_where_the_map_has_them_in_the_colour_of_their_kind() -> None:
    image = draw_map_png(PLACES, [], scale_of(PLACES))
    assert [at(image, place.x, place.y) for place in PLACES] == [
        ImageColor.getrgb(colour_of(place.cluster_id)) for place in PLACES
    ]
    assert at(image, 2, 2) == (255, 255, 255)
    paths = of_class(draw_map_svg(PLACES, [Label(2, "moths", 4, 0)], scale_of(PLACES)), "dots")
    assert [path.get("stroke") for path in paths] == [colour_of(kind) for kind in (None, 1, 2)]
    assert [path.get("d", "").count("M") for path in paths] == [1, 2, 1]
    assert [path.findtext(f"{SVG}title") for path in paths] == ["in no kind", "kind 1", "kind 2 moths"]


def test_ids_and_names_stand_in_the_middle_of_their_kinds() -> None:
    labels = [Label(2, "moths & <b>\x07", 4, 0), Label(1, "x" * 80, -4, 2)]
    two, one = of_class(draw_map_svg(PLACES, labels, scale_of(PLACES)), "label")
    assert two.text == "2 moths & <b>"
    assert len(one.text or "") == 24
    assert (two.get("x"), two.get("y")) == tuple(f"{px:g}" for px in scale_of(PLACES).px(4, 0))
    without, written = (draw_map_png(PLACES, some, scale_of(PLACES)) for some in ([], labels))
    assert without.tobytes() != written.tobytes()


def test_the_scale_changes_only_when_the_map_outgrows_it() -> None:
    scales = [scale_of([PlaceRow("a", reach, 0, None)]) for reach in (0, 1, 8, 8.1, 8.1 * GROWTH, 1e6)]
    assert scales[0] == scales[1]
    assert scales[2] == scales[3]
    assert scales[4].factor == pytest.approx(scales[3].factor / GROWTH)
    for reach in (0.1, 1, 5, 77, 1e6):
        across, down = scale_of([PlaceRow("a", 0, -reach, None)]).px(reach, -reach)
        assert 0 < across < SIDE_PX
        assert 0 < down < SIDE_PX


def test_without_a_map_it_says_so() -> None:
    assert NOTHING_YET in draw_map_svg([], [], scale_of([]))
    assert len(draw_map_png([], [], scale_of([])).getcolors() or []) > 1
