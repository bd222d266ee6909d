"""The colour of a kind, by its id alone: the same in every picture, round and version. Knows nothing of kinds.

The first seven are those of Okabe and Ito (Color Universal Design, 2008), which colour-blind people can tell apart.
Later ones step round the hues of OKLCH (Ottosson 2020) by the golden angle, at three lightnesses in turn, so that
neighbours differ in lightness too, which everyone sees. Of hundreds of kinds, some look alike: the id stands beside.
"""

from __future__ import annotations

import math

UNIVERSAL = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
GOLDEN_DEGREES = 180 * (3 - math.sqrt(5))
LIGHTNESSES = (0.45, 0.62, 0.79)
CHROMA = 0.11
NO_KIND = "#8c8c8c"


def colour_of(cluster_id: int | None) -> str:
    """`#rrggbb` of a kind; grey for what is in none."""
    if cluster_id is None:
        return NO_KIND
    if 1 <= cluster_id <= len(UNIVERSAL):
        return UNIVERSAL[cluster_id - 1]
    return _from_oklch(LIGHTNESSES[cluster_id % len(LIGHTNESSES)], CHROMA, cluster_id * GOLDEN_DEGREES)


def _from_oklch(lightness: float, chroma: float, hue_degrees: float) -> str:
    a, b = (chroma * turn(math.radians(hue_degrees)) for turn in (math.cos, math.sin))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_byte(value):02x}" for value in linear)


def _byte(linear: float) -> int:
    value = min(1.0, max(0.0, linear))
    return round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))
