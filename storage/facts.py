"""Facts: what people have decided about where pictures belong, as it counts now. It loads no numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from storage.records import EventType
from storage.schema import corrections, events

PLACING = (EventType.MOVED, EventType.MERGED, EventType.DIVIDED, EventType.TAUGHT)
"""Corrections that say where pictures belong."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A correction that counts: these pictures, or all that is in these kinds, belong to one kind.

    Attributes:
        event_id: of the event by which it was made.
        cluster_id: where they belong.
        made: the kind was made by it.
        offspring: those of the kinds that split off from the others later (`storage.offspring`).
        revision: by which it became visible first.
    """

    event_id: int
    cluster_id: int
    pictures: tuple[int, ...] = ()
    kinds: tuple[int, ...] = ()
    made: bool = False
    offspring: tuple[int, ...] = ()
    revision: int = 0

    @property
    def asked(self) -> tuple[int, ...]:
        """Those of the kinds of which people said it themselves."""
        return tuple(kind for kind in self.kinds if kind not in self.offspring)


def leading(facts: Sequence[Fact]) -> dict[int, int]:
    """Pictures that people put into kinds which they made, and those kinds."""
    made = {fact.cluster_id for fact in facts if fact.made}
    put = {picture: fact.cluster_id for fact in facts for picture in fact.pictures}
    return {picture: kind for picture, kind in put.items() if kind in made}


def followed(kind: int, facts: Sequence[Fact]) -> int:
    """The kind in which people see what the agent puts into `kind`, unless they placed the picture itself."""
    for fact in facts:
        if kind in fact.kinds:
            kind = fact.cluster_id
    return kind


def deciding(picture: int, kind: int, facts: Sequence[Fact]) -> Fact | None:
    """The fact by which a picture that the agent puts into `kind` is where people see it; None where none decides."""
    last = None
    for fact in facts:
        if picture in fact.pictures or kind in fact.kinds:
            kind, last = fact.cluster_id, fact
    return last


def stranded(facts: Sequence[Fact]) -> tuple[Fact, Fact] | None:
    """A fact that puts pictures into a kind which none merges away later, but one did before; and that one.

    They would be in a kind that has ended: only a later merge carries them on.
    """
    last = {kind: fact for fact in facts for kind in fact.kinds}
    for fact in facts:
        merge = last.get(fact.cluster_id)
        if merge is not None and merge.event_id < fact.event_id:
            return fact, merge
    return None


def counting(connection: Connection) -> list[Fact]:
    """Those that count, in the order in which they were made."""
    rows = FACT_ROWS.where(corrections.c.type.in_(PLACING), corrections.c.active)
    return [fact_of(row) for row in connection.execute(rows.order_by(corrections.c.event_id))]


def taken_along(connection: Connection, by: int | None = None) -> dict[int, tuple[int, ...]]:
    """What splits off from merged kinds goes with them: the events of such merges, and those kinds.

    Args:
        by: only those that had gone with them by this revision.
    """
    merges = select(corrections.c.event_id, corrections.c.payload).where(corrections.c.type == EventType.MERGED)
    kept = {row.event_id: _offspring(row.payload, by) for row in connection.execute(merges)}
    return {event_id: kinds for event_id, kinds in kept.items() if kinds}


FACT_ROWS = select(corrections, events.c.detail, events.c.revision).join(events, events.c.id == corrections.c.event_id)
"""Corrections, as `fact_of` reads them."""


def fact_of(row: Row[Any]) -> Fact:
    """A row of `FACT_ROWS`."""
    payload: Mapping[str, Sequence[int]] = row.payload
    made = row.type == EventType.DIVIDED or bool((row.detail or {}).get("made"))
    offspring = _offspring(row.payload)
    kinds = (*payload.get("kinds", ()), *offspring)
    placed = tuple(payload.get("pictures", ()))
    return Fact(row.event_id, row.cluster_id, placed, kinds, made, offspring, row.revision)


def _offspring(payload: Mapping[str, Sequence[Sequence[int]]], by: int | None = None) -> tuple[int, ...]:
    return tuple(kind for kind, revision in payload.get("offspring", ()) if by is None or revision <= by)
