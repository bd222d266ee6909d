"""A to J in all fonts of this machine, as class folders: a set that nothing was chosen on (as notMNIST, Bulatov 2011).

    python -m benchmarks.letters --out letters
    python -m benchmarks.stream --set letters --per-class 100 --held-out 60 --arm frozen,default --seed 0,1,2

Fonts that lack a letter, or draw the same for two, are left out, and of fonts that draw the same A one stays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

LETTERS = "ABCDEFGHIJ"
SIDE_PX, LETTER_PX = 64, 44
FOLDER = Path("/usr/share/fonts")
NOT_DRAWN = "\U0010fffd"
"""A private character, in whose place fonts draw what they draw for all they lack."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.letters", description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=Path, default=FOLDER, help="folder that holds fonts")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets a folder for each letter")
    options = parser.parse_args(arguments)
    count = 0
    for number, signs in enumerate(alphabets(sorted(options.fonts.rglob("*.[to]tf")))):
        for letter, picture in zip(LETTERS, signs, strict=True):
            folder = options.out / letter
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{number:04d}.png")
        count += 1
    print(f"{count} alphabets")
    return 0


def alphabets(fonts: Iterable[Path]) -> Iterator[list[Image.Image]]:
    """The letters of each font that has them, black on white."""
    seen: set[bytes] = set()
    for path in fonts:
        try:
            font = ImageFont.truetype(str(path), LETTER_PX)
            signs = [drawn(font, sign) for sign in LETTERS + NOT_DRAWN]
        except (OSError, ValueError):  # a font that FreeType cannot read, or draws nothing with
            continue
        if len({sign.tobytes() for sign in signs}) == len(signs) and signs[0].tobytes() not in seen:
            seen.add(signs[0].tobytes())
            yield signs[:-1]


def drawn(font: ImageFont.FreeTypeFont, sign: str) -> Image.Image:
    """The sign in the middle of a square, as large as it fits.

    Raises:
        ValueError: nothing is drawn.
    """
    large = Image.new("L", (4 * LETTER_PX, 4 * LETTER_PX), 255)
    ImageDraw.Draw(large).text((2 * LETTER_PX, 2 * LETTER_PX), sign, 0, font, anchor="mm")
    box = ImageChops.invert(large).getbbox()
    if box is None:
        raise ValueError(f"nothing is drawn for {sign!r}")
    part = large.crop(box)
    part.thumbnail((LETTER_PX, LETTER_PX))
    square = Image.new("L", (SIDE_PX, SIDE_PX), 255)
    square.paste(part, ((SIDE_PX - part.width) // 2, (SIDE_PX - part.height) // 2))
    return square


if __name__ == "__main__":
    sys.exit(main())
