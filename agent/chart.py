"""The map as a picture: a dot for each picture in the colour of its kind, the id and name of a kind in its middle.

The same as SVG and as PNG. Neither is stretched to fit: the middle stays the middle, and the scale changes only when
the map has outgrown it, so that what stays put on the map does so in the picture. Knows neither the store nor files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from PIL import Image, ImageDraw, ImageFont

from agent.colours import colour_of
from storage.rows import PlaceRow

SIDE_PX, MARGIN_PX = 1000, 40
DOT_PX, SMALL_DOT_PX = 5.0, 3.0
"""Across; the small ones are of pictures in no kind."""

GROWTH = 1.25
"""The scale goes in steps of so much."""

LABEL_LIMIT = 24
TEXT_PX = 14
OVERSIZE = 2
"""A PNG is drawn so many times larger and then reduced, since Pillow's dots have hard edges."""

NOTHING_YET = "no map yet; the agent makes one after a round, unless cluster.map_share is 0"


@dataclass(frozen=True, slots=True)
class Label:
    """What is written where, in units of the map."""

    cluster_id: int
    name: str
    x: float
    y: float

    @property
    def text(self) -> str:
        text = "".join(letter for letter in f"{self.cluster_id} {self.name}".strip() if letter.isprintable())
        return text if len(text) <= LABEL_LIMIT else f"{text[: LABEL_LIMIT - 1]}…"


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels of a unit of the map, whose origin is in the middle of the picture."""

    factor: float

    def px(self, x: float, y: float) -> tuple[float, float]:
        return round(SIDE_PX / 2 + self.factor * x, 1), round(SIDE_PX / 2 - self.factor * y, 1)


def scale_of(places: Iterable[PlaceRow]) -> Scale:
    """That of the smallest step in which all of it is seen."""
    reach = max((max(abs(place.x), abs(place.y)) for place in places), default=0.0)
    steps = math.ceil(math.log(reach, GROWTH)) if reach > 1 else 0
    return Scale((SIDE_PX / 2 - MARGIN_PX) / GROWTH**steps)


def draw_map_svg(places: Sequence[PlaceRow], labels: Sequence[Label], scale: Scale) -> str:
    """An SVG document; a path of dots for each kind, which tells its name where the mouse rests."""
    side = str(SIDE_PX)
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {side} {side}", width=side, height=side)
    svg.set("font-family", "sans-serif")
    ET.SubElement(svg, "rect", width="100%", height="100%", fill="white")
    names = {label.cluster_id: label.text for label in labels}
    for kind, dots in by_kind(places):
        path = ET.SubElement(svg, "path", fill="none", stroke=colour_of(kind))
        path.set("class", "dots")
        path.set("stroke-linecap", "round")
        path.set("stroke-width", f"{dot_px(kind):g}")
        path.set("d", "".join("M{:g} {:g}h0".format(*scale.px(place.x, place.y)) for place in dots))
        ET.SubElement(path, "title").text = "in no kind" if kind is None else f"kind {names.get(kind, kind)}"
    for label in labels:
        x, y = scale.px(label.x, label.y)
        text = ET.SubElement(svg, "text", x=f"{x:g}", y=f"{y:g}", stroke="white")
        text.set("class", "label")
        text.set("font-size", str(TEXT_PX))
        text.set("text-anchor", "middle")
        text.set("stroke-width", "3")
        text.set("paint-order", "stroke")
        text.text = label.text
    if not places:
        ET.SubElement(svg, "text", x="10", y="24").text = NOTHING_YET
    return ET.tostring(svg, encoding="unicode")


def draw_map_png(places: Sequence[PlaceRow], labels: Sequence[Label], scale: Scale) -> Image.Image:
    """The same as pixels."""
    large = Image.new("RGB", (SIDE_PX * OVERSIZE, SIDE_PX * OVERSIZE), "white")
    pen = ImageDraw.Draw(large)
    for kind, dots in by_kind(places):
        radius, colour = dot_px(kind) * OVERSIZE / 2, colour_of(kind)
        for place in dots:
            x, y = (OVERSIZE * at for at in scale.px(place.x, place.y))
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    picture = large.reduce(OVERSIZE)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=TEXT_PX)
    free = isinstance(font, ImageFont.FreeTypeFont)  # without FreeType there are letters for Latin-1 only, and no edges
    for label in labels:
        text = label.text if free else label.text.encode("latin-1", "replace").decode("latin-1")
        x, y = scale.px(label.x, label.y)
        left, top = x - pen.textlength(text, font=font) / 2, y - TEXT_PX
        pen.text((left, top), text, fill="black", font=font, stroke_width=2 if free else 0, stroke_fill="white")
    if not places:
        pen.text((10, 10), NOTHING_YET, fill="black", font=font)
    return picture


def by_kind(places: Sequence[PlaceRow]) -> list[tuple[int | None, list[PlaceRow]]]:
    """Those in no kind first, so that they hide nothing; then by id."""
    dots: dict[int | None, list[PlaceRow]] = {}
    for place in places:
        dots.setdefault(place.cluster_id, []).append(place)
    return sorted(dots.items(), key=lambda item: -1 if item[0] is None else item[0])


def dot_px(kind: int | None) -> float:
    return SMALL_DOT_PX if kind is None else DOT_PX
