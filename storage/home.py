"""The data directory may be moved, and with it the files that are ours: their places in the database follow.

Places are absolute paths, because most of them are people's own folders. Where the directory lay last is written down
in the database that lies in it, so that it is noticed when both lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Table, func, select, update

from storage import states
from storage.arrivals import drop_rejections
from storage.schema import locations, rejections

HOME = "home"
"""Key of the data directory as it was called when an agent last ran on it."""


def settle(connection: Connection, home: str, folders: Sequence[str], at: datetime) -> int:
    """The data directory is called `home` now; how many places have followed.

    Args:
        home: absolute.
        folders: names of those in it that hold files of ours.
    """
    before = states.read(connection, HOME)
    if before == home:
        return 0
    states.put(connection, HOME, home, at)
    if not isinstance(before, str):
        return 0
    return sum(
        _follow(connection, table, f"{before}/{folder}/", f"{home}/{folder}/", at)
        for table in (locations, rejections)
        for folder in folders
    )


def _follow(connection: Connection, table: Table, old: str, new: str, at: datetime) -> int:
    lies_there = func.substr(table.c.uri, 1, len(old)) == old
    uri = new + func.substr(table.c.uri, len(old) + 1)
    # what is said to lie in these places is of an earlier stay there, and two things cannot lie in one
    coming = select(uri).where(lies_there)
    if table is locations:
        present = table.c.missing_at.is_(None)
        taken = table.c.uri.in_(coming.where(present)) & present
        connection.execute(update(table).where(taken).values(missing_at=at))
    else:
        stale = select(table.c.uri).where(table.c.uri.in_(coming))
        drop_rejections(connection, connection.execute(stale).scalars().all())
    return connection.execute(update(table).where(lies_there).values(uri=uri)).rowcount
