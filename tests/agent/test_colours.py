"""Colours of kinds."""

from __future__ import annotations

import re
from itertools import pairwise

from agent.colours import NO_KIND, UNIVERSAL, colour_of


def test_the_first_kinds_have_the_universal_colours() -> None:
    assert [colour_of(kind) for kind in range(1, 8)] == list(UNIVERSAL)


def test_a_colour_is_a_function_of_the_id_alone() -> None:
    """Stored pictures of earlier versions must agree with new ones, so the values themselves are held."""
    assert [colour_of(kind) for kind in (8, 9, 1000)] == ["#f99d9d", "#00673c", "#b66992"]


def test_a_hundred_kinds_have_colours_of_their_own() -> None:
    colours = [colour_of(kind) for kind in range(1, 100)]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    assert len({*colours, NO_KIND}) == 100
    assert colour_of(None) == NO_KIND


def test_neighbours_differ_for_those_who_see_no_hue() -> None:
    """By luma, without hue: any two ids in a row after the universal ones."""
    lumas = [luma(colour_of(kind)) for kind in range(8, 300)]
    assert min(abs(one - two) for one, two in pairwise(lumas)) > 20


def luma(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
