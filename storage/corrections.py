"""What people say of kinds: each correction is one fact and one event, and every one of them can be undone.

Functions on an open write transaction, which sees what others committed before; so of two people at once the second
is told what the first did. Names and hiding are folded from the events (`storage.fold`); where pictures belong is for
`storage.placing`. Nothing here knows how kinds are found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, insert, select, update

from storage import journal
from storage.errors import NotFound, Refused
from storage.facts import counting
from storage.fold import PastEvent, undone
from storage.naming import require_names_kept
from storage.records import ClusterState, Event, EventType
from storage.schema import clusters, corrections, events

NAME_LIMIT = 200
CORRECTIONS = (
    EventType.RENAMED,
    EventType.HIDDEN,
    EventType.MOVED,
    EventType.MERGED,
    EventType.DIVIDED,
    EventType.TAUGHT,
)
"""What can be undone; so can an `undone` itself."""


def rename(connection: Connection, cluster_id: int, name: str, actor: str, at: datetime) -> int:
    """A kind gets a name, or loses it where `name` is empty; the event's id.

    Raises:
        NotFound: there is no such kind.
        Refused: it has ended, it is called so already, or another kind is.
    """
    name = checked_name(name)
    kind = living(connection, cluster_id)
    if kind.name == name:
        raise Refused(f"kind {cluster_id} {f'is called {name!r}' if name else 'has no name'} already")
    require_free(connection, name, cluster_id)
    return record(connection, EventType.RENAMED, cluster_id, {"name": name, "was": kind.name}, actor, at)


def hide(connection: Connection, cluster_id: int, hidden: bool, actor: str, at: datetime) -> int:
    """A kind is left out of what people look at, or shown again; the event's id.

    Raises:
        NotFound: there is no such kind.
        Refused: it has ended, or is so already.
    """
    kind = living(connection, cluster_id)
    if kind.hidden == hidden:
        raise Refused(f"kind {cluster_id} is {'hidden' if hidden else 'shown'} already")
    return record(connection, EventType.HIDDEN, cluster_id, {"hidden": hidden}, actor, at)


def undo(connection: Connection, event_id: int, actor: str, at: datetime) -> int:
    """A correction counts no more, whenever it was made and whatever came after it; the event's id.

    To undo an `undone` is to make its correction count again.

    Raises:
        NotFound: there is no such event.
        Refused: it is no correction, counts no more already, or a name would be lost or two kinds have one.
    """
    event = require_undoable(connection, event_id)
    require_names_kept(connection, event_id, counting(connection))
    return record(connection, EventType.UNDONE, event.cluster_id, {"event_id": event_id}, actor, at)


def require_undoable(connection: Connection, event_id: int) -> Row[tuple[object, ...]]:
    """The row of an event that can be undone.

    Raises:
        NotFound: there is no such event.
        Refused: it is no correction, or counts no more already.
    """
    event = connection.execute(select(events).where(events.c.id == event_id)).one_or_none()
    if event is None:
        raise NotFound(f"there is no event {event_id}; `history` lists them")
    if event.type == EventType.FORGOTTEN:
        raise Refused(f"event {event_id} forgot pictures for good; they are not here any more")
    if event.type not in (*CORRECTIONS, EventType.UNDONE):
        raise Refused(f"event {event_id} is {event.type!r} by {event.actor}; only people's corrections can be undone")
    past = journal.read_past(connection, types=[EventType.UNDONE])
    if event_id in undone(past):
        by = max(other.id for other in past if other.detail.get("event_id") == event_id)
        raise Refused(f"event {event_id} was undone by event {by} already; `undo {by}` makes it count again")
    if event.type == EventType.UNDONE:
        _require_difference(past, event_id)
    return event


def _require_difference(past: Sequence[PastEvent], event_id: int) -> None:
    """Refuse to undo an undo beside which another one of the same correction counts."""
    origin, no_more = _origin(past, event_id), undone(past)
    told = PastEvent(past[-1].id + 1, EventType.UNDONE, None, detail={"event_id": event_id})
    if (origin in no_more) == (origin in undone([*past, told])):
        others = [p.id for p in past if p.detail.get("event_id") == origin and p.id not in {*no_more, event_id}]
        still = f"as long as event {others[0]} counts" if others else "as things stand"
        raise Refused(f"{still}, undoing event {event_id} makes no difference to event {origin}")


def origin_of(connection: Connection, event_id: int) -> int:
    """The correction at the end of a chain of events that undo each other."""
    return _origin(journal.read_past(connection, types=[EventType.UNDONE]), event_id)


def _origin(past: Sequence[PastEvent], event_id: int) -> int:
    target_of = {event.id: event.detail.get("event_id") for event in past}
    while isinstance(target := target_of.get(event_id), int):
        event_id = target
    return event_id


# -------------------------------------------------------------------------- parts


def checked_name(name: str, *, needed: bool = False) -> str:
    """The name without space around it.

    Args:
        needed: an empty one, which takes a name away, is none.

    Raises:
        Refused: it is too long, or holds what cannot be printed in a line.
    """
    name = name.strip()
    if needed and not name:
        raise Refused("pictures can only be taught under a name; give one that is not empty")
    if len(name) > NAME_LIMIT:
        raise Refused(f"a name has at most {NAME_LIMIT} characters, this one has {len(name)}")
    if not name.isprintable():
        raise Refused(f"the name {name!r} holds characters that cannot be printed in one line; leave them out")
    return name


def living(connection: Connection, cluster_id: int) -> Row[tuple[object, ...]]:
    """The row of a kind that can be corrected.

    Raises:
        NotFound: there is no such kind.
        Refused: it has ended.
    """
    kind = connection.execute(select(clusters).where(clusters.c.id == cluster_id)).one_or_none()
    if kind is None:
        raise NotFound(f"there is no kind {cluster_id}; `clusters` lists them")
    if kind.state == ClusterState.ENDED:
        raise Refused(f"kind {cluster_id} has ended; `cluster {cluster_id}` tells where its pictures went")
    return kind


def require_free(connection: Connection, name: str, cluster_id: int | None) -> None:
    """Refuse a name that another living kind has: two kinds of one name could not be told apart by it."""
    taken = select(clusters.c.id).where(clusters.c.name == name, clusters.c.state != ClusterState.ENDED)
    other = connection.execute(taken.where(clusters.c.id != cluster_id).limit(1)).scalar() if name else None
    if other is not None:
        raise Refused(f"kind {other} is called {name!r} already; choose another name")


def record(
    connection: Connection,
    kind: EventType,
    cluster_id: int | None,
    detail: Mapping[str, object],
    actor: str,
    at: datetime,
) -> int:
    """One event and its fact; the event's id."""
    (event_id,) = journal.append(connection, [Event(kind, cluster_id, detail=dict(detail), actor=actor)], at)
    keep(connection, event_id, kind, cluster_id, detail)
    return event_id


def keep(
    connection: Connection, event_id: int, kind: EventType, cluster_id: int | None, payload: Mapping[str, object]
) -> None:
    """The fact of an event that was written; facts that it undoes count no more, or again."""
    values = {"type": kind, "cluster_id": cluster_id, "payload": dict(payload), "active": True}
    connection.execute(insert(corrections).values(event_id=event_id, **values))
    if kind is EventType.UNDONE:
        _refresh_active(connection)


def _refresh_active(connection: Connection) -> None:
    no_more = undone(journal.read_past(connection, types=[EventType.UNDONE]))
    for row in connection.execute(select(corrections.c.id, corrections.c.event_id, corrections.c.active)).all():
        counts = row.event_id not in no_more
        if counts != row.active:
            connection.execute(update(corrections).where(corrections.c.id == row.id).values(active=counts))
