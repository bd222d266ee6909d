"""The verb by which a few examples teach the agent a kind."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.doors import reading_vectors, writing
from agent.commands.images import meant
from agent.commands.newcomers import embedded
from agent.commands.options import DATA, Data, Json, person
from agent.commands.output import print_json

if TYPE_CHECKING:
    from storage.teaching import Taught


def teach(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the pictures show.")],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="sha256, its first digits, or a file; new ones are stored.")
    ],
    rename: Annotated[bool, typer.Option("--rename", help="Also where the kind has another name already.")] = False,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Say what some pictures show: the kind that they fall in gets the name, or they become a kind."""
    from agent.hints import hints_for
    from storage.corrections import checked_name

    name = checked_name(name, needed=True)  # before anything is stored
    shas = _stored(data, images)
    with writing(data) as (store, queries):
        hints = hints_for(queries, list(queries.existing(shas).values()))
        taught = store.teach(name, shas, person(), hints=hints, rename=rename)
    if as_json:
        counts = {"pictures": taught.pictures, "moved": taught.moved, "around": taught.around}
        print_json({"event": taught.event_id, "cluster_id": taught.cluster_id, "did": taught.did, **counts})
    else:
        undo = f"event {taught.event_id}; `undo {taught.event_id}` takes it back"
        print(f"{_told(taught, name)} ({undo})", file=sys.stderr)


def _stored(data: Path, images: Sequence[str]) -> list[str]:
    """Content hashes of the pictures; files that are not stored yet are stored, as if they had arrived."""
    with reading_vectors(data) as queries:
        found = meant(queries, images)
        rows = queries.by_id([one for one in found if isinstance(one, int)])
    files = [one for one in found if isinstance(one, Path)]
    fresh = embedded(data, files, store=True) if files else []
    return list(dict.fromkeys([*(row.sha256 for row in rows.values()), *(one.sha256 for one in fresh)]))


def _told(taught: Taught, name: str) -> str:
    pictures = "1 picture" if taught.pictures == 1 else f"{taught.pictures} pictures"
    if taught.did == "made":
        around = f" and {taught.around} close to {'it' if taught.pictures == 1 else 'them'}" if taught.around else ""
        return f"kind {taught.cluster_id}, called {name!r}, was made of {pictures}{around}"
    if taught.did == "added":
        return f"kind {taught.cluster_id}, called {name!r}, has {pictures} more for an example"
    stayed = taught.pictures - taught.moved
    rest = f", and the other {taught.moved} moved there" if taught.moved else ""
    return f"kind {taught.cluster_id}, in which {stayed} of {pictures} fell, is called {name!r} now{rest}"
