"""The verb that shows the kinds to people's eyes. It imports Pillow when it runs, and never torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.doors import reading
from agent.commands.options import DATA, AsOf, Data, Json, moment
from agent.commands.output import print_json

PER_KIND = 24


def gallery(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder, or a gallery to be made anew.")],
    data: Data = DATA,
    as_of: AsOf = None,
    kinds: Annotated[list[int], typer.Option("--kinds", metavar="ID", help="Only this kind; may be given again.")] = [],  # noqa: B006 (read only; typer needs the empty list)
    per_kind: Annotated[int, typer.Option("--per-kind", min=1, max=1000, help="Pictures on a sheet.")] = PER_KIND,
    as_json: Json = False,
) -> None:
    """Contact sheets of the kinds, the map, their timeline, and a page that shows them."""
    when = moment(as_of, "--as-of")
    with reading(data) as queries:
        from agent.gallery import INDEX, write_gallery

        sheets = write_gallery(queries, out, when, kinds, per_kind)
    if as_json:
        print_json({"page": out / INDEX, "sheets": sheets})
    else:
        print(f"{sheets} {'sheet' if sheets == 1 else 'sheets'}; open {out / INDEX}", file=sys.stderr)
