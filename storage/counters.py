"""Numbers that are kept up to date by whoever changes what they count, so that no page counts a million rows."""

from __future__ import annotations

from sqlalchemy import Connection, Select, func, select, update

from storage.schema import assignments, clusterings, counters, pictures, rejections, revisions
from storage.visible import visible


def bump(connection: Connection, **changes: int) -> None:
    """Add to counters, within the writer's transaction."""
    for name, change in changes.items():
        if change:
            connection.execute(update(counters).where(counters.c.name == name).values(value=counters.c.value + change))


def put(connection: Connection, **values: int) -> None:
    """Set counters, within the writer's transaction."""
    for name, value in values.items():
        connection.execute(update(counters).where(counters.c.name == name).values(value=value))


def take(connection: Connection, name: str, n: int = 1) -> int:
    """The first of `n` numbers that were never given before."""
    first = connection.execute(select(counters.c.value).where(counters.c.name == name)).scalar_one()
    bump(connection, **{name: n})
    return int(first)


def read(connection: Connection) -> dict[str, int]:
    """All counters by name."""
    return {row.name: row.value for row in connection.execute(select(counters.c.name, counters.c.value))}


def recount(connection: Connection) -> dict[str, int]:
    """What the counters of pictures must say, counted row by row: for `verify` and for tests."""
    total = _count(connection, select(func.count()).select_from(pictures))
    newest = connection.execute(select(func.max(revisions.c.id))).scalar() or 0
    open_rows = select(func.count()).select_from(assignments).where(visible(newest))
    last = select(clusterings.c.through_picture).order_by(clusterings.c.id.desc()).limit(1)
    through = connection.execute(last).scalar() or 0
    return {
        "pictures": total,
        "rejected": _count(connection, select(func.count()).select_from(rejections)),
        "pending": total - _count(connection, open_rows),
        "unassigned": _count(connection, open_rows.where(assignments.c.cluster_id.is_(None))),
        "behind": _count(connection, select(func.count()).select_from(pictures).where(pictures.c.id > through)),
    }


def _count(connection: Connection, statement: Select[int]) -> int:
    return connection.execute(statement).scalar_one()
