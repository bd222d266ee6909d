"""What events say about a kind's state and name, folded in order: pure, no SQL.

How each type is read (`id` is the event's `cluster_id`, `others` its `other_ids`):

    emerged                      id is provisional
    split                        others came out of id, provisional until confirmed; id has ended, if `detail["ended"]`
    confirmed revived            id is active
    dormant                      id is dormant
    absorbed disappeared         id has ended (others: where its members went)
    merged                       others have ended, their members are in id, whatever the agent says of them later;
                                 id is named `detail["name"]`, if that is there: the name of one of them, carried over
    divided                      others came out of id by a person's hand: active
    moved                        pictures went to id; active, if `detail["made"]` says that it was made for them
    taught                       id is named `detail["name"]`; active, if `detail["made"]` says that it was made
    renamed                      id is named `detail["name"]`
    hidden                       id is hidden, unless `detail["hidden"]` is false
    undone                       the event `detail["event_id"]` counts no more; an undone `undone` counts again;
                                 a kind that was made by an event that counts no more has ended
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from storage.records import ClusterState, EventType

STATE_OF_ID = {
    EventType.CONFIRMED: ClusterState.ACTIVE,
    EventType.REVIVED: ClusterState.ACTIVE,
    EventType.DORMANT: ClusterState.DORMANT,
    EventType.ABSORBED: ClusterState.ENDED,
    EventType.DISAPPEARED: ClusterState.ENDED,
}
NAMING = (EventType.RENAMED, EventType.TAUGHT, EventType.MERGED)
FACES = (*NAMING, EventType.HIDDEN, EventType.UNDONE)
"""The types that say how people see a kind; the agent's rounds never change that."""

PEOPLES = (*FACES, EventType.DIVIDED, EventType.MOVED)
"""All that people do to kinds."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """As much of a stored event as the fold looks at."""

    id: int
    type: EventType
    cluster_id: int | None
    other_ids: tuple[int, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Face:
    """How a kind stands after some events."""

    state: ClusterState = ClusterState.PROVISIONAL
    name: str = ""
    hidden: bool = False


NEWBORN = Face()


def fold(events: Iterable[PastEvent]) -> dict[int, Face]:
    """The kinds that `events`, oldest first, speak of; kinds without an entry are `NEWBORN`."""
    past = list(events)
    no_more = undone(past)
    faces: dict[int, Face] = {}
    gone: set[int] = set()
    for event in past:
        if event.id in no_more:
            gone.update(_made(event))
            continue
        for made in _made(event):
            faces[made] = replace(faces.get(made, NEWBORN), state=ClusterState.ACTIVE)
        if event.cluster_id is not None:
            faces[event.cluster_id] = _turn(faces.get(event.cluster_id, NEWBORN), event)
        for other in event.other_ids:
            faces.setdefault(other, NEWBORN)
        if event.type is EventType.MERGED:
            gone.update(event.other_ids)
    ended = {cluster: replace(faces.get(cluster, NEWBORN), state=ClusterState.ENDED) for cluster in gone}
    return faces | ended


def _made(event: PastEvent) -> tuple[int, ...]:
    """Kinds that a person made by it."""
    if event.type is EventType.DIVIDED:
        return event.other_ids
    if event.type in (EventType.MOVED, EventType.TAUGHT) and event.detail.get("made") and event.cluster_id is not None:
        return (event.cluster_id,)
    return ()


def undone(past: Sequence[PastEvent]) -> set[int]:
    """Events that count no more. Newest first, because an event that undoes may itself have been undone later."""
    no_more: set[int] = set()
    for event in reversed(past):
        target = event.detail.get("event_id")
        if event.type is EventType.UNDONE and event.id not in no_more and isinstance(target, int):
            no_more.add(target)
    return no_more


def _turn(face: Face, event: PastEvent) -> Face:
    face = replace(face, state=STATE_OF_ID.get(event.type, face.state))
    if event.type is EventType.SPLIT and event.detail.get("ended"):
        return replace(face, state=ClusterState.ENDED)
    if event.type in NAMING:
        return replace(face, name=str(event.detail.get("name", face.name)))
    if event.type is EventType.HIDDEN:
        return replace(face, hidden=bool(event.detail.get("hidden", True)))
    return face
