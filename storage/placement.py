"""Which pictures the last round looked at, and where the map shows them: what was said last counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, insert, select

from storage.chunks import chunks
from storage.schema import layouts, pictures, window


def put_window(connection: Connection, picture_ids: Sequence[int]) -> None:
    """These pictures, as far as they are stored, are the window from now on."""
    before = set(connection.execute(select(window.c.picture_id)).scalars())
    wanted = set(picture_ids)
    for some in chunks(sorted(before - wanted)):
        connection.execute(delete(window).where(window.c.picture_id.in_(some)))
    fresh = _stored(connection, sorted(wanted - before))
    if fresh:
        connection.execute(insert(window), [{"picture_id": i} for i in fresh])


def put_layout(connection: Connection, version: int, places: Mapping[int, tuple[float, float]]) -> None:
    """The map shows these pictures here from now on, by this version, and the others where they were: id -> (x, y)."""
    for some in chunks(sorted(places)):
        connection.execute(delete(layouts).where(layouts.c.picture_id.in_(some)))
    rows = [
        {"version": version, "picture_id": i, "x": places[i][0], "y": places[i][1]}
        for i in _stored(connection, sorted(places))
    ]
    if rows:
        connection.execute(insert(layouts), rows)


def _stored(connection: Connection, picture_ids: Sequence[int]) -> list[int]:
    found: list[int] = []
    for some in chunks(picture_ids):
        found += connection.execute(
            select(pictures.c.id).where(pictures.c.id.in_(some)).order_by(pictures.c.id)
        ).scalars()
    return found
