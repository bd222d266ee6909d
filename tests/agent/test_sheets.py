"""Contact sheets as pictures."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from agent.sheets import COLUMNS, FRAME_PX, GAP_PX, TILE_PX, TITLE_PX, Tile, draw_sheet

RED, BLUE = (255, 0, 0), (0, 0, 255)


def thumbnail(colour: tuple[int, int, int], width_px: int = 20, height_px: int = 20) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width_px, height_px), colour).save(buffer, "PNG")
    return buffer.getvalue()


def corner(place: int) -> tuple[int, int]:
    row, column = divmod(place, COLUMNS)
    return GAP_PX + column * (TILE_PX + GAP_PX), TITLE_PX + row * (TILE_PX + GAP_PX)


def centre(place: int) -> tuple[int, int]:
    left, top = corner(place)
    return left + TILE_PX // 2, top + TILE_PX // 2


def test_tiles_lie_row_by_row_and_framed_ones_have_the_colour() -> None:
    tiles = [Tile(str(n), thumbnail(RED)) for n in range(COLUMNS)] + [Tile("last", thumbnail(BLUE), framed=True)]
    sheet = draw_sheet("kind 1", "#00ff00", tiles)
    assert [sheet.getpixel(centre(place)) for place in (0, COLUMNS - 1, COLUMNS)] == [RED, RED, BLUE]
    left, top = corner(COLUMNS)
    assert sheet.getpixel((left - FRAME_PX, top + 5)) == (0, 255, 0)
    assert sheet.getpixel((corner(0)[0] - FRAME_PX, top - TILE_PX)) == (255, 255, 255)


def test_proportions_are_kept() -> None:
    sheet = draw_sheet("kind 1", "#00ff00", [Tile("wide", thumbnail(RED, 40, 10))])
    left, top = corner(0)
    assert sheet.getpixel((left + 1, top + TILE_PX // 2)) == RED
    assert sheet.getpixel((left + TILE_PX // 2, top + 5)) == (255, 255, 255)


def test_what_cannot_be_shown_is_a_grey_tile() -> None:
    sheet = draw_sheet(
        "", "#00ff00", [Tile("gone", None), Tile("broken", b"\xff\xd8"), Tile("cut", thumbnail(RED)[:40])]
    )
    assert {sheet.getpixel(centre(place)) for place in range(3)} == {(217, 217, 217)}


def test_any_title_can_be_written_and_stays_on_the_sheet() -> None:
    for title in ("x" * 5000, "夜の蛾 <b>", ""):
        assert draw_sheet(title, "#00ff00", []).width == GAP_PX + COLUMNS * (TILE_PX + GAP_PX)
