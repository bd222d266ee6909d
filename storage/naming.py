"""Whether an undoing leaves every name with one kind that people see. On an open transaction; it writes nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Connection, select

from storage import journal
from storage.errors import Refused
from storage.facts import Fact, followed
from storage.fold import FACES, Names, PastEvent, called
from storage.records import ClusterState, EventType
from storage.schema import clusters

AS_THEY_ARE: Mapping[int, ClusterState] = MappingProxyType({})


def require_names_kept(
    connection: Connection, event_id: int, facts: Sequence[Fact], states: Mapping[int, ClusterState] = AS_THEY_ARE
) -> None:
    """Refuse that an event is undone by which a name would be lost, or two kinds have one.

    Args:
        facts: those that count then.
        states: of kinds that change by it.

    Raises:
        Refused: it says what to do first.
    """
    past = journal.read_past(connection, types=FACES)
    last = past[-1].id if past else 0
    told = PastEvent(last + 1, EventType.UNDONE, None, detail={"event_id": event_id})
    were, are = called(past), called([*past, told])
    ended = set(connection.execute(select(clusters.c.id).where(clusters.c.state == ClusterState.ENDED)).scalars())
    gone = {kind for kind in {*ended, *states} if states.get(kind, ClusterState.ENDED) is ClusterState.ENDED}
    turned = gone ^ ended
    new = {kind for kind, name in are.of.items() if name and (kind in turned or name != were.of.get(kind))}
    try:
        _require_chosen(were, are, gone)
        _require_seen(are, sorted(new & gone), facts, gone)
        _require_apart(are, sorted(new - gone), gone)
    except Refused as error:
        raise Refused(f"without event {event_id} {error}") from None


def _require_chosen(were: Names, are: Names, gone: Collection[int]) -> None:
    """Refuse that a kind loses the name for which it needed none of several that were merged into it."""
    for merge in sorted(are.contested.keys() - were.contested.keys()):
        into, several = are.contested[merge]
        bearers = ", ".join(f"{kind} {name!r}" for kind, name in several.items())
        first = f"undo {merge}" if into in gone else f"rename {into}"
        raise Refused(f"kind {into} would have no name, and kinds {bearers} were merged into it; `{first}` first")


def _require_seen(are: Names, kinds: Sequence[int], facts: Sequence[Fact], gone: Collection[int]) -> None:
    """Refuse that one of these kinds, which have ended, has a name where nobody sees it."""
    for kind in kinds:
        name, lead = are.of[kind], followed(kind, facts)
        if lead in gone:
            raise Refused(f"kind {kind} would be called {name!r}, but it has ended; `rename` another kind so")
        if not are.of.get(lead):
            raise Refused(f"nothing would be called {name!r}, as kind {kind}, for kind {lead} lost its name after it "
                          f"took that in; `rename {lead}` first")  # fmt: skip


def _require_apart(are: Names, kinds: Sequence[int], gone: Collection[int]) -> None:
    """Refuse that one of these kinds has the name of another one."""
    others = {name: kind for kind, name in are.of.items() if name and kind not in gone and kind not in kinds}
    own: dict[str, int] = {}
    for kind in kinds:
        name = are.of[kind]
        if name in others:
            other = others[name]
            raise Refused(
                f"kind {kind} would be {name!r} again, but kind {other} is called {name!r} already; "
                f"`rename {other}` first"
            )
        if own.setdefault(name, kind) != kind:
            raise Refused(f"kinds {own[name]} and {kind} would both be called {name!r}; rename one of them first")
