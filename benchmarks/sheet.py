"""A picture of the kinds that emerged: one row per kind, largest first, its exemplars from the medoid outwards.

python -m benchmarks.sheet --data taxon-data --out docs/kinds.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from agent.thumbnail import pixels_of
from storage.engine import database_url, open_engine
from storage.queries import Queries
from storage.rows import ClusterRow

TILE_PX = 48
LABEL_PX = 150


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sheet", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("taxon-data"))
    parser.add_argument("--out", type=Path, default=Path("kinds.png"))
    parser.add_argument("--columns", type=int, default=16)
    options = parser.parse_args(arguments)
    queries = Queries(open_engine(database_url(options.data), read_only=True))
    contact_sheet(queries, options.columns).save(options.out)
    return 0


def contact_sheet(queries: Queries, columns: int) -> Image.Image:
    """Kinds as rows; each tile is an exemplar's stored thumbnail, squeezed into TILE_PX."""
    kinds = sorted(queries.clusters(), key=lambda kind: -kind.size)
    sheet = Image.new("RGB", (LABEL_PX + columns * TILE_PX, max(1, len(kinds)) * TILE_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for row, kind in enumerate(kinds):
        top = row * TILE_PX
        pen.text((6, top + TILE_PX // 2 - 12), _caption(kind), fill="black")
        for column, sha256 in enumerate(kind.exemplars[:columns]):
            thumbnail = queries.thumbnail(sha256)
            if thumbnail is not None:
                tile = Image.fromarray(pixels_of(thumbnail)).resize((TILE_PX - 2, TILE_PX - 2))
                sheet.paste(tile, (LABEL_PX + column * TILE_PX, top + 1))
    return sheet


def _caption(kind: ClusterRow) -> str:
    return f"kind {kind.id} {kind.name}".rstrip() + f"\n{kind.size} pictures, {kind.state.value}"


if __name__ == "__main__":
    sys.exit(main())
