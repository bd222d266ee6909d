"""Contact sheets: thumbnails in rows under a title. Draws what it is given; knows neither the store nor files."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

TILE_PX = 112
GAP_PX = 8
FRAME_PX = 3
TITLE_PX = 34
COLUMNS = 8
LETTERS = 500
"""More than fit above a sheet in any script."""

EMPTY = "#d9d9d9"


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture of a sheet; `thumbnail` is None where it has gone meanwhile."""

    sha256: str
    thumbnail: bytes | None
    framed: bool = False


def draw_sheet(title: str, colour: str, tiles: Sequence[Tile]) -> Image.Image:
    """The tiles from left to right, row by row; framed ones in the colour, which also stands before the title."""
    rows = max(1, -(-len(tiles) // COLUMNS))
    step_px = TILE_PX + GAP_PX
    sheet = Image.new("RGB", (GAP_PX + COLUMNS * step_px, TITLE_PX + rows * step_px), "white")
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((GAP_PX, 9, GAP_PX + 16, 25), fill=colour)
    _write(pen, title, sheet.width - GAP_PX)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        left, top = GAP_PX + column * step_px, TITLE_PX + row * step_px
        picture = _fitted(tile.thumbnail)
        sheet.paste(picture, (left + (TILE_PX - picture.width) // 2, top + (TILE_PX - picture.height) // 2))
        if tile.framed:
            box = (left - FRAME_PX, top - FRAME_PX, left + TILE_PX + FRAME_PX - 1, top + TILE_PX + FRAME_PX - 1)
            pen.rectangle(box, outline=colour, width=FRAME_PX)
    return sheet


def _write(pen: ImageDraw.ImageDraw, title: str, right_px: int) -> None:
    font = ImageFont.load_default(size=15)
    if not isinstance(font, ImageFont.FreeTypeFont):  # a Pillow without FreeType has letters for Latin-1 only
        title = title.encode("latin-1", "replace").decode("latin-1")
    left_px = GAP_PX + 24
    end = "…" if isinstance(font, ImageFont.FreeTypeFont) else ""
    cut = [title, *(f"{title[:length]}{end}" for length in range(min(len(title), LETTERS) - 1, -1, -1))]
    fits = bisect_left(cut, True, key=lambda text: left_px + pen.textlength(text, font=font) <= right_px)
    pen.text((left_px, 8), cut[min(fits, len(cut) - 1)], fill="black", font=font)


def _fitted(thumbnail: bytes | None) -> Image.Image:
    """The thumbnail with its proportions, its long side TILE_PX; a grey tile where it cannot be shown."""
    if thumbnail is None:
        return Image.new("RGB", (TILE_PX, TILE_PX), EMPTY)
    try:
        with Image.open(BytesIO(thumbnail), formats=("JPEG", "PNG")) as image:
            picture = image.convert("RGB")
    except (UnidentifiedImageError, OSError):
        return Image.new("RGB", (TILE_PX, TILE_PX), EMPTY)
    scale = TILE_PX / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
