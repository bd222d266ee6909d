"""Areas of a camera's picture that are ignored: a street behind the fence, a clock in the corner. Only text."""

from __future__ import annotations

from collections.abc import Iterable

FORM = "a mask is given as NAME=x,y x,y x,y, such as front=0,0 0.3,0 0.3,0.1 0,0.1 for the upper left corner"

Polygon = tuple[tuple[float, float], ...]


def parse(text: str) -> tuple[str, Polygon]:
    """A camera's name, and corners in shares of width and height.

    Raises:
        ValueError: it is none; the message is for people.
    """
    name, _, corners = text.partition("=")
    try:
        polygon = tuple((float(x), float(y)) for x, y in (corner.split(",") for corner in corners.split()))
    except ValueError:
        raise ValueError(FORM) from None
    if not name or len(polygon) < 3 or not all(0 <= v <= 1 for corner in polygon for v in corner):
        raise ValueError(FORM)
    return name, polygon


def polygons_of(name: str, masks: Iterable[str]) -> tuple[Polygon, ...]:
    """Those that are meant for one camera."""
    return tuple(polygon for whose, polygon in map(parse, masks) if whose == name)
