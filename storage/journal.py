"""Events: append-only, and what they mean for how people see a kind.

Functions on an open transaction. They know nothing about who is assigned where.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from storage.chunks import chunks
from storage.facts import taken_along
from storage.fold import FACES, NEWBORN, PEOPLES, STATE_OF_ID, Face, PastEvent, fold
from storage.records import Event, EventType, VersionState
from storage.schema import clusters, encoder_versions, event_others, events
from storage.visible import revision_at


def append(
    connection: Connection,
    happened: Sequence[Event],
    at: datetime,
    *,
    revision: int | None = None,
    clustering_id: int | None = None,
    encoder_version: int | None = None,
) -> list[int]:
    """Write events and return their ids; what is not given is taken from the present."""
    if not happened:
        return []
    revision = revision_at(connection, None) if revision is None else revision
    encoder_version = ready_version(connection) if encoder_version is None else encoder_version
    ids = []
    for event in happened:
        written = insert(events).values(
            at=at,
            type=event.type,
            actor=event.actor,
            cluster_id=event.cluster_id,
            revision=revision,
            clustering_id=clustering_id,
            encoder_version=encoder_version,
            detail=dict(event.detail),
        )
        ids.append(connection.execute(written.returning(events.c.id)).scalar_one())
    others = [
        {"event_id": event_id, "position": position, "cluster_id": other}
        for event_id, event in zip(ids, happened, strict=True)
        for position, other in enumerate(event.other_ids)
    ]
    if others:
        connection.execute(insert(event_others), others)
    if any(event.type in FACES for event in happened):
        refresh_faces(connection)
    return ids


def refresh_faces(connection: Connection) -> None:
    """Names and hiding as all events that people made say, with what was undone left out."""
    past = read_past(connection, types=FACES)
    faces = fold(past)
    for cluster_id in {event.cluster_id for event in past if event.cluster_id is not None}:
        face = faces.get(cluster_id, NEWBORN)
        changed = update(clusters).where(clusters.c.id == cluster_id)
        connection.execute(changed.values(name=face.name, hidden=face.hidden))


def read_past(
    connection: Connection, *, until: datetime | None = None, types: Iterable[EventType] | None = None
) -> list[PastEvent]:
    """Events as the fold wants them, oldest first; merges with what they had taken along by then."""
    query = select(events.c.id, events.c.type, events.c.cluster_id, events.c.detail).order_by(events.c.id)
    if until is not None:
        query = query.where(events.c.at <= until)
    if types is not None:
        query = query.where(events.c.type.in_(list(types)))
    rows = connection.execute(query).all()
    others = read_others(connection, [row.id for row in rows])
    if any(row.type == EventType.MERGED for row in rows):
        taken = taken_along(connection, by=None if until is None else revision_at(connection, until))
        others |= {event: (*others.get(event, ()), *kinds) for event, kinds in taken.items()}
    return [
        PastEvent(row.id, EventType(row.type), row.cluster_id, others.get(row.id, ()), row.detail or {}) for row in rows
    ]


def read_others(connection: Connection, event_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The other kinds that these events speak of, in order."""
    found: dict[int, tuple[int, ...]] = {}
    query = select(event_others.c.event_id, event_others.c.cluster_id)
    for some in chunks(event_ids):
        ordered = query.where(event_others.c.event_id.in_(some)).order_by(
            event_others.c.event_id, event_others.c.position
        )
        for row in connection.execute(ordered):
            found[row.event_id] = (*found.get(row.event_id, ()), row.cluster_id)
    return found


def ready_version(connection: Connection) -> int | None:
    """The published encoder version; None before birth."""
    ready = select(encoder_versions.c.version).where(encoder_versions.c.state == VersionState.READY)
    return connection.execute(ready.order_by(encoder_versions.c.version.desc()).limit(1)).scalar()


# -------------------------------------------------------------------------- how kinds stood


def faces(connection: Connection, as_of: datetime, only: int | None = None) -> dict[int, Face]:
    """States and names as of a time; kinds without an entry were `NEWBORN`.

    Of what the agent did, only the last event that says a kind's state is read, so that the cost is that of the kinds
    and of what people did, not of all that happened.

    Args:
        only: the states of other kinds do not matter.
    """
    people = read_past(connection, until=as_of, types=PEOPLES)
    ended = and_(events.c.type == EventType.SPLIT, events.c.detail["ended"].as_boolean())
    says = or_(events.c.type.in_([*STATE_OF_ID]), ended)
    last = select(func.max(events.c.id)).where(events.c.at <= as_of, says, events.c.type.not_in(PEOPLES))
    if only is not None:
        last = last.where(events.c.cluster_id == only)
    query = select(events.c.id, events.c.type, events.c.cluster_id, events.c.detail)
    rows = connection.execute(query.where(events.c.id.in_(last.group_by(events.c.cluster_id)))).all()
    agents = [PastEvent(row.id, EventType(row.type), row.cluster_id, (), row.detail or {}) for row in rows]
    return fold(sorted([*people, *agents], key=lambda event: event.id))


def names(connection: Connection, as_of: datetime | None) -> dict[int, str]:
    """Names of kinds now, or as of a time."""
    if as_of is None:
        return {row.id: row.name for row in connection.execute(select(clusters.c.id, clusters.c.name))}
    past = read_past(connection, until=as_of, types=FACES)
    return {cluster_id: face.name for cluster_id, face in fold(past).items()}
