"""Which rows count at a moment: the one rule of history, and how times become revisions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, and_, or_, select, true

from storage.schema import assignments, locations, revisions


def visible(revision: int, rows: FromClause = assignments) -> ColumnElement[bool]:
    """Assignments, or an alias of them, as they stood at a revision; those of unfinished writers are beyond it."""
    still = or_(rows.c.valid_to.is_(None), rows.c.valid_to > revision)
    return and_(rows.c.valid_from <= revision, still)


def present(as_of: datetime | None, places: FromClause = locations) -> ColumnElement[bool]:
    """Rows of `locations`, or of an alias of it, where a picture lies now, or lay at a time."""
    missing_at: ColumnElement[datetime | None] = places.c.missing_at
    if as_of is None:
        return missing_at.is_(None)
    return and_(places.c.seen_at <= as_of, or_(missing_at.is_(None), missing_at > as_of))


def arrived(column: ColumnElement[datetime], as_of: datetime | None) -> ColumnElement[bool]:
    """Rows that were there at a time, by the time at which they came."""
    return true() if as_of is None else column <= as_of


def revision_at(connection: Connection, as_of: datetime | None) -> int:
    """The newest revision, or the newest at a time; 0 before the first."""
    newest = select(revisions.c.id).order_by(revisions.c.id.desc()).limit(1)
    if as_of is not None:
        newest = newest.where(revisions.c.at <= as_of)
    return connection.execute(newest).scalar() or 0
