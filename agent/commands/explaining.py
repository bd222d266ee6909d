"""Verbs that answer for single pictures: nearest. They import numpy when they run, and never torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.doors import reading_vectors
from agent.commands.images import meant
from agent.commands.newcomers import embedded
from agent.commands.options import DATA, Data, Json
from agent.commands.output import print_json, print_table

if TYPE_CHECKING:
    from agent.looking import Subject
    from storage.queries import Queries

COUNT = 12

Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="sha256 of a picture, its first digits, or a file, stored or new.")
]


def nearest(
    image: Image,
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = COUNT,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """The stored pictures most like one."""
    from agent.looking import nearest as most_alike

    with reading_vectors(data) as queries:
        rows = most_alike(queries, subject_of(queries, data, image), count)
    if as_json:
        print_json(rows)
        return
    cells = [(row.sha256[:12], row.cosine, row.cluster_id, row.cluster_name, row.status, row.uri) for row in rows]
    print_table(("sha256", "cosine", "kind", "name", "status", "uri"), cells, empty="no other picture is stored")


def subject_of(queries: Queries, data: Path, image: str) -> Subject:
    """The picture that a person means, with its vectors; the network is loaded only for one that is not stored."""
    from agent.looking import Subject, stored_subject

    (one,) = meant(queries, [image])
    if isinstance(one, int):
        return stored_subject(queries, one)
    (shown,) = embedded(data, [one])
    return Subject(None, shown.sha256, shown.version, shown.innate_D, shown.learned_D)
