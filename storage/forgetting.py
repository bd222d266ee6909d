"""Pictures that people want gone for good: every row that tells of them, and the way back.

Functions on an open write transaction. What remains is an event with their number, sizes that kinds once had, and a
mark of each content hash, by which a copy that still lies in a watched folder is kept out; the mark tells nothing to
anyone who does not have the picture. What a network has learned from a picture cannot be unlearned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, case, delete, func, insert, select, update

from storage import counters, journal, states
from storage.chunks import chunks
from storage.hashes import picture_ids
from storage.records import Event, EventType
from storage.reveal import Moved, note_sizes
from storage.revisions import tidy
from storage.schema import (
    assignments,
    cluster_rounds,
    clusterings,
    clusters,
    corrections,
    forgotten,
    pictures,
    revisions,
)
from storage.visible import revision_at, visible

TELLING = ("pictures", "locations", "thumbnails", "innate", "embeddings")
"""Tables whose rows tell what a picture shows, or where it lay; others know it by its number."""


def forget(connection: Connection, shas: Sequence[str], actor: str, at: datetime) -> int:
    """Remove pictures by content hash, which may be cut off; the event's id. Scrubbing is due from then on.

    Raises:
        NotFound, Refused: as `storage.hashes.picture_ids`; nothing was removed.
    """
    ids = picture_ids(connection, shas)
    base = revision_at(connection, None)
    tidy(connection, base)
    moved = _leaving(connection, ids, base)
    _mark(connection, ids, at)
    _count_out(connection, ids, moved)
    for some in chunks(ids):
        connection.execute(delete(pictures).where(pictures.c.id.in_(some)))
    _drop_from_lists(connection, set(ids))
    last = connection.execute(select(revisions.c.at).where(revisions.c.id == base)).scalar()
    at = at if last is None else max(at, last)
    connection.execute(insert(revisions).values(id=base + 1, at=at, actor=actor, clustering_id=None))
    note_sizes(connection, moved, base + 1)
    event = Event(EventType.FORGOTTEN, detail={"pictures": len(ids)}, actor=actor)
    (event_id,) = journal.append(connection, [event], at, revision=base + 1)
    states.put(connection, states.SCRUB, event_id, at)
    return event_id


def kept_out(connection: Connection, shas: Iterable[str]) -> set[str]:
    """Those of the content hashes that were forgotten."""
    sha_of = {mark_of(sha256): sha256 for sha256 in shas}
    found: set[str] = set()
    for some in chunks(list(sha_of)):
        marks = connection.execute(select(forgotten.c.mark).where(forgotten.c.mark.in_(some))).scalars()
        found.update(sha_of[mark] for mark in marks)
    return found


def mark_of(sha256: str) -> str:
    return hashlib.sha256(f"forgotten by taxon: {sha256}".encode()).hexdigest()


# -------------------------------------------------------------------------- parts


def _leaving(connection: Connection, ids: Sequence[int], revision: int) -> Moved:
    """By how many members, and core members, each kind shrinks."""
    moved: Moved = {}
    core = func.sum(case((assignments.c.core, 1), else_=0))
    query = select(assignments.c.cluster_id, func.count(), core).where(visible(revision))
    for some in chunks(ids):
        rows = connection.execute(query.where(assignments.c.picture_id.in_(some)).group_by(assignments.c.cluster_id))
        for cluster_id, members, cores in rows:
            before = moved.get(cluster_id, (0, 0))
            moved[cluster_id] = (before[0] - members, before[1] - int(cores))
    return moved


def _mark(connection: Connection, ids: Sequence[int], at: datetime) -> None:
    for some in chunks(ids):
        shas = connection.execute(select(pictures.c.sha256).where(pictures.c.id.in_(some))).scalars()
        connection.execute(insert(forgotten), [{"mark": mark_of(sha256), "at": at} for sha256 in shas])


def _count_out(connection: Connection, ids: Sequence[int], moved: Moved) -> None:
    assigned = -sum(members for members, _ in moved.values())
    cursor = select(clusterings.c.through_picture).order_by(clusterings.c.id.desc()).limit(1)
    through = connection.execute(cursor).scalar() or 0
    counters.bump(
        connection,
        pictures=-len(ids),
        pending=assigned - len(ids),
        unassigned=moved.get(None, (0, 0))[0],
        behind=-sum(picture > through for picture in ids),
    )


def _drop_from_lists(connection: Connection, gone: set[int]) -> None:
    """Lists of picture ids that no foreign key empties."""
    for table in (clusters, cluster_rounds):
        for row in connection.execute(select(*table.primary_key, table.c.exemplars)).all():
            if gone & set(row.exemplars):
                left = [picture for picture in row.exemplars if picture not in gone]
                connection.execute(_this(table, row).values(exemplars=left))
    for row in connection.execute(select(corrections)).all():
        named = row.payload.get("pictures", [])
        if isinstance(named, list) and gone & set(named):
            payload = row.payload | {"pictures": [picture for picture in named if picture not in gone]}
            connection.execute(_this(corrections, row).values(payload=payload))


def _this(table: Table, row: Any) -> Any:
    changed = update(table)
    for column in table.primary_key:
        changed = changed.where(column == getattr(row, column.name))
    return changed
