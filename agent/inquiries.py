"""Whose members beyond the window are still to be asked where they belong: rounds add to it, pieces shorten it.

Pure. It is kept beside the assignments, in the same transaction, so that each picture is asked once whatever happens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from agent.lineage import LineageResult
from storage.records import Event, EventType
from storage.states import BEYOND


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Members of one kind that have to be asked.

    Attributes:
        kind: what was said of them so far.
        parts: the kinds that they may go to; a single one takes them all, and none means any, or none at all.
        after: picture up to which they have been asked.
        through: the newest picture that is asked; later ones were voted on when the kind was what it is now.
    """

    kind: int
    parts: tuple[int, ...]
    after: int
    through: int


def as_values(pending: Sequence[Inquiry]) -> dict[str, object]:
    """As plain values under their key (`storage.states`)."""
    return {BEYOND: [asdict(inquiry) for inquiry in pending]}


def of_values(kept: object) -> tuple[Inquiry, ...]:
    """From what was kept under that key; nothing where nothing was."""
    if not isinstance(kept, list):
        return ()
    return tuple(Inquiry(one["kind"], tuple(one["parts"]), one["after"], one["through"]) for one in kept)


def after_round(pending: Sequence[Inquiry], result: LineageResult, through: int) -> tuple[Inquiry, ...]:
    """What is to be asked after a round: of what it changed, and what was left of before, with what it made of that.

    Args:
        through: the newest picture of the round.
    """
    fresh = {kind: Inquiry(kind, (heir,), 0, through) for kind, heir in result.heirs.items()}
    for event in result.events:
        kind = event.cluster_id
        if kind is None or kind in result.heirs:
            continue
        if event.type is EventType.SPLIT:
            fresh[kind] = Inquiry(kind, parts_of(event), 0, through)
        elif event.type is EventType.DISAPPEARED:
            fresh[kind] = Inquiry(kind, (), 0, through)
    carried = [carried_on(inquiry, result) for inquiry in pending]
    asked = [both(inquiry, fresh.pop(inquiry.kind)) if inquiry.kind in fresh else inquiry for inquiry in carried]
    return (*asked, *fresh.values())


def parts_of(split: Event) -> tuple[int, ...]:
    """Where members of a kind that split may be now."""
    assert split.cluster_id is not None
    return split.other_ids if split.detail.get("ended") else (split.cluster_id, *split.other_ids)


def carried_on(inquiry: Inquiry, result: LineageResult) -> Inquiry:
    """The same, where its parts went themselves."""
    gone = {event.cluster_id for event in result.events if event.type is EventType.DISAPPEARED}
    split = {event.cluster_id: parts_of(event) for event in result.events if event.type is EventType.SPLIT}
    followed = (result.heirs.get(part, part) for part in inquiry.parts)
    parts = (grand for part in followed for grand in split.get(part, (part,)))
    return replace(inquiry, parts=unique(part for part in parts if part not in gone))


def still_there(pending: Sequence[Inquiry], living: Collection[int]) -> tuple[Inquiry, ...]:
    """The same, without parts that have ended since: people may undo that they made a kind, between rounds too."""
    return tuple(replace(one, parts=tuple(part for part in one.parts if part in living)) for one in pending)


def both(earlier: Inquiry, later: Inquiry) -> Inquiry:
    """One in place of two about the same kind, from its first picture on."""
    parts = unique((*earlier.parts, *later.parts)) if earlier.parts and later.parts else ()
    return Inquiry(later.kind, parts, 0, later.through)


def unique(kinds: Iterable[int]) -> tuple[int, ...]:
    """Each once, in order."""
    return tuple(dict.fromkeys(kinds))
