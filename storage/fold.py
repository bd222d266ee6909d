"""What events say about a kind's state and name, folded in order: pure, no SQL.

How each type is read (`id` is the event's `cluster_id`, `others` its `other_ids`):

    emerged                      id is provisional
    split                        others came out of id, provisional until confirmed; id has ended, if `detail["ended"]`
    confirmed revived            id is active
    dormant                      id is dormant
    absorbed disappeared         id has ended (others: where its members went)
    merged                       others have ended, their members are in id, whatever the agent says of them later;
                                 so has what split off from them since and goes with it (`storage.offspring`);
                                 id is named as they are, if it has no name and they have one (`called`)
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
NAMING = (EventType.RENAMED, EventType.TAUGHT)
FACES = (*NAMING, EventType.MERGED, EventType.HIDDEN, EventType.UNDONE)
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


@dataclass(frozen=True, slots=True)
class Names:
    """What kinds are called after some events.

    Attributes:
        of: kind -> name, "" where it lost one.
        contested: merge -> the kind that took none of the names that it could have, and these, by kind.
    """

    of: Mapping[int, str]
    contested: Mapping[int, tuple[int, Mapping[int, str]]]


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
    names = called(past).of
    return {cluster: replace(face, name=names.get(cluster, "")) for cluster, face in (faces | ended).items()}


def called(events: Iterable[PastEvent]) -> Names:
    """What the kinds of which `events`, oldest first, speak are called.

    A kind is called as was said last; as long as nothing was, or since it lost its name, it takes the one name that
    kinds which are merged into it have; a kind that is merged away twice leaves its name the first time, unless others
    were merged into it in between. What is said of these afterwards, by undoing, is theirs from the start: a name
    that was wrong does not stay where it was carried.
    """
    past = list(events)
    no_more = undone(past)
    counting = [event for event in past if event.id not in no_more]
    said = {event.cluster_id: event for event in counting if event.type in NAMING and "name" in event.detail}
    names = {kind: str(event.detail["name"]) for kind, event in said.items() if kind is not None}
    contested: dict[int, tuple[int, Mapping[int, str]]] = {}
    gone: set[int] = set()
    for merge in counting:
        into = merge.cluster_id
        if merge.type is not EventType.MERGED or into is None:
            continue
        left = {kind: names[kind] for kind in merge.other_ids if kind not in gone and names.get(kind)}
        gone = (gone | {*merge.other_ids}) - {into}
        if names.get(into) or (into in said and said[into].id > merge.id):
            continue
        if len(set(left.values())) > 1:
            contested[merge.id] = (into, left)
        elif left:
            names[into] = next(iter(left.values()))
    return Names(names, contested)


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
    if event.type is EventType.HIDDEN:
        return replace(face, hidden=bool(event.detail.get("hidden", True)))
    return face
