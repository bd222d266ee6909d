"""A person shows some pictures and says what they are: a kind gets the name, or is made of them.

Worked out on an open transaction as the rest of `storage.placing`; it writes nothing but the number of a kind that it
makes. In which kind pictures fall that wait for their first round, and what lies close to them, the agent knows better
(`Hints`); whether that still holds is looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, select

from storage import corrections, opinion
from storage.errors import Refused
from storage.facts import Fact
from storage.hashes import picture_ids
from storage.placing import changed, made_kind
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.reveal import Change
from storage.schema import clusters

NONE = opinion.NONE


class Did(StrEnum):
    """What became of the pictures."""

    NAMED = "named"
    """The kind that most of them fall in has the name now, and all of them."""
    MADE = "made"
    """They are a kind of their own, with what lies close to them."""
    ADDED = "added"
    """A kind of that name was there; they are further examples of it."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What the agent says of the pictures that are shown.

    Attributes:
        votes: picture -> kind, for pictures that wait for their first round.
        around: picture -> others that belong nowhere and lie close to it.
    """

    votes: Mapping[int, int] = field(default_factory=dict)
    around: Mapping[int, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taught:
    """What was done.

    Attributes:
        pictures: how many were shown.
        moved: how many of them were elsewhere before.
        around: how many others came with them.
    """

    did: Did
    event_id: int
    cluster_id: int
    pictures: int
    moved: int
    around: int


def teach(
    connection: Connection, name: str, shas: Sequence[str], hints: Hints, actor: str, *, rename: bool = False
) -> tuple[Change, Taught]:
    """The pictures are of the kind that is called `name`; the change, and what it does (`event_id` is still 0).

    Where a living kind has the name, they belong to it. Else the kind that most of them fall in gets it, and the rest
    of them go there. Where more of them fall in none than in any one, they become a kind, with what lies around them.

    Args:
        rename: the kind may lose another name by it.

    Raises:
        NotFound: there is no such picture.
        Refused: two kinds have equal claims, the kind has another name, or `name` is none.
    """
    name = corrections.checked_name(name, needed=True)
    ids = picture_ids(connection, shas)
    fell = falls_in(connection, ids, hints.votes)
    target, did = _called(connection, name), Did.ADDED
    if target is None:
        target, did = _most_fall_in(fell), Did.NAMED
    detail: dict[str, object] = {"name": name, "pictures": len(ids), "from": _counts(fell)}
    made: tuple[ClusterRecord, ...] = ()
    around: list[int] = []
    if target is None:
        did, around = Did.MADE, _still_open(connection, [i for one in ids for i in hints.around.get(one, ())], ids)
        made = (made_kind(connection, ids),)
        target, detail = made[0].id, detail | {"made": True, "around": len(around)}
    elif did is Did.NAMED:
        detail |= {"was": _may_be_named(connection, target, name, rename)}
    all_ids = [*ids, *around]
    event = Event(EventType.TAUGHT, target, detail={**detail, "did": did}, actor=actor)
    change = changed(connection, all_ids, event, Fact(0, target, pictures=tuple(all_ids)), made)
    moved = sum(kind != target for kind in fell.values())
    return change, Taught(did, 0, target, len(ids), moved, len(around))


def falls_in(connection: Connection, ids: Sequence[int], votes: Mapping[int, int]) -> dict[int, int]:
    """The kind of each picture as people see it; before its first round, the living one that it was voted into."""
    seen = opinion.visible_of(connection, ids)
    shown = dict(zip(seen.picture_N.tolist(), seen.cluster_N.tolist(), strict=True))
    alive = select(clusters.c.id).where(clusters.c.state != ClusterState.ENDED, clusters.c.id.in_(set(votes.values())))
    living = set(connection.execute(alive).scalars())
    voted = {picture: kind for picture, kind in votes.items() if kind in living}
    return {picture: shown.get(picture, voted.get(picture, NONE)) for picture in ids}


def _called(connection: Connection, name: str) -> int | None:
    named = select(clusters.c.id).where(clusters.c.name == name, clusters.c.state != ClusterState.ENDED)
    return connection.execute(named.limit(1)).scalar()


def _most_fall_in(fell: Mapping[int, int]) -> int | None:
    """The one kind that more pictures fall in than in any other, and at least as many as in none; None for none.

    Raises:
        Refused: two kinds have equal claims.
    """
    counts = Counter(fell.values())
    nowhere = counts.pop(NONE, 0)
    most = max(counts.values(), default=0)
    if most == 0 or most < nowhere:
        return None
    first, *others = sorted(kind for kind, count in counts.items() if count == most)
    if others:
        both = ", ".join(str(kind) for kind in (first, *others))
        raise Refused(
            f"as many pictures fall in each of the kinds {both}; show more, `merge` the kinds if they are one, or "
            f"`rename {first}` and teach again"
        )
    return first


def _may_be_named(connection: Connection, cluster_id: int, name: str, rename: bool) -> str:
    """The name that the kind had.

    Raises:
        Refused: it has another one, and may not lose it.
    """
    was = str(corrections.living(connection, cluster_id).name)
    if was and not rename:
        raise Refused(
            f"they fall in kind {cluster_id}, which is called {was!r}; --rename calls it {name!r}, and "
            "`move SHA... --to new` makes a kind of their own"
        )
    return was


def _still_open(connection: Connection, ids: Sequence[int], but: Sequence[int]) -> list[int]:
    """Those that belong nowhere, and that no correction decides."""
    seen = opinion.visible_of(connection, ids)
    taken = {*opinion.all_decided(connection), *but}
    return [int(i) for i in seen.picture_N[seen.cluster_N == NONE] if i not in taken]


def _counts(fell: Mapping[int, int]) -> dict[str, int]:
    """As a `moved` event tells it: kind (-1: none) -> pictures."""
    return {str(kind): count for kind, count in sorted(Counter(fell.values()).items())}
