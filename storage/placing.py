"""People say where pictures belong: move, merge, divide, and the undoing of that and of teaching, on a revision.

Each function reads on an open transaction and gives back the change that is to become visible; it writes nothing
but the number of a kind that it makes, and what a merge that counts again takes along. What the agent says of the
pictures is kept (`storage.opinion`), so that undoing gives back what it says by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, func, select

from storage import corrections, counters, journal, opinion
from storage.errors import Refused
from storage.facts import FACT_ROWS, PLACING, Fact, counting, fact_of, stranded
from storage.fold import PastEvent, fold
from storage.hashes import picture_ids
from storage.naming import require_names_kept
from storage.offspring import gather
from storage.overrule import overrule, rows_of
from storage.records import Assignments, ClusterRecord, ClusterState, Event, EventType
from storage.reveal import Change, Correction
from storage.revisions import last_cursor
from storage.schema import clusters, pictures
from storage.schema import corrections as facts_table

EXEMPLARS = 8
State = tuple[ClusterState, ClusterState | None]
"""As everyone sees a kind, and as the agent does where that is something else."""


def move(connection: Connection, shas: Sequence[str], to: int | None, actor: str) -> Change:
    """Pictures belong to the kind `to`, or to one that is made for them.

    Raises:
        NotFound: there is no such picture or kind.
        Refused: the kind has ended, or an abbreviated hash means several pictures.
    """
    ids = picture_ids(connection, shas)
    if to is not None:
        corrections.living(connection, to)
    made = [made_kind(connection, ids)] if to is None else []
    target = made[0].id if to is None else to
    before = Counter(opinion.visible_of(connection, ids).cluster_N.tolist())
    detail: dict[str, object] = {"pictures": len(ids), "from": {str(kind): n for kind, n in sorted(before.items())}}
    event = Event(EventType.MOVED, target, detail=detail | ({"made": True} if to is None else {}), actor=actor)
    return changed(connection, ids, event, Fact(0, target, pictures=tuple(ids)), tuple(made))


def merge(connection: Connection, cluster_ids: Sequence[int], into: int, actor: str) -> Change:
    """Kinds end, and all that is in them, now and later, belongs to `into`; without a name, it takes theirs.

    Raises:
        NotFound: there is no such kind.
        Refused: one of them has ended, `into` is among them, or it has no name and they have several.
    """
    sources = tuple(dict.fromkeys(cluster_ids))
    if into in sources:
        raise Refused(f"kind {into} cannot be merged into itself; leave it out of the list")
    target = corrections.living(connection, into)
    kinds = [corrections.living(connection, source) for source in sources]
    states = {kind.id: asleep(kind) for kind in kinds}
    ids = opinion.members_seen(connection, sources)
    name = "" if target.name else carried_name(kinds, into)
    detail: dict[str, object] = {"pictures": len(ids)}
    event = Event(EventType.MERGED, into, sources, detail | ({"name": name} if name else {}), actor)
    return changed(connection, ids, event, Fact(0, into, kinds=sources), states=states)


def divide(connection: Connection, cluster_id: int, shas: Sequence[str], actor: str) -> Change:
    """Pictures of a kind become a kind of their own.

    Raises:
        NotFound: there is no such picture or kind.
        Refused: the kind has ended, does not hold them, or would be empty without them.
    """
    kind = corrections.living(connection, cluster_id)
    ids = picture_ids(connection, shas)
    seen = opinion.visible_of(connection, ids)
    strangers = set(ids) - set(seen.picture_N[seen.cluster_N == cluster_id].tolist())
    if strangers:
        shown = connection.execute(select(pictures.c.sha256).where(pictures.c.id == min(strangers))).scalar_one()
        raise Refused(f"picture {shown[:12]} is not in kind {cluster_id}; `move` takes pictures from anywhere")
    if len(ids) >= kind.size:
        raise Refused(f"that is all of kind {cluster_id}; `rename` it, or name fewer pictures")
    made = made_kind(connection, ids, parents=(cluster_id,))
    event = Event(EventType.DIVIDED, cluster_id, (made.id,), {"pictures": len(ids)}, actor)
    return changed(connection, ids, event, Fact(0, made.id, pictures=tuple(ids)), (made,))


def places(connection: Connection, event_id: int) -> bool:
    """Whether undoing an event changes where pictures belong.

    Raises:
        NotFound, Refused: as `storage.corrections.require_undoable`.
    """
    corrections.require_undoable(connection, event_id)
    origin = select(facts_table.c.type).where(facts_table.c.event_id == corrections.origin_of(connection, event_id))
    return connection.execute(origin).scalar() in PLACING


def undo(connection: Connection, event_id: int, actor: str) -> Change:
    """A correction that placed pictures counts no more, or again.

    Raises:
        NotFound, Refused: as `storage.corrections.undo`; and where later corrections speak of the kind that it made,
            the kinds that it would merge again have ended since, pictures would come into a kind that has ended, a name
            would be lost, or two kinds have one.
    """
    event = corrections.require_undoable(connection, event_id)
    origin = corrections.origin_of(connection, event_id)
    row = connection.execute(FACT_ROWS.where(facts_table.c.event_id == origin)).one()
    fact, again = fact_of(row), not row.active
    facts, taken = counted(connection, fact, again)
    require_carried_on(facts, fact)
    others = journal.read_others(connection, [origin]).get(origin, ())
    told = Event(EventType.UNDONE, event.cluster_id, others, {"event_id": event_id}, actor)
    states = states_after(connection, fact, facts, told, taken)
    require_names_kept(connection, event_id, facts, {kind: seen for kind, (seen, _) in states.items()})
    followers = opinion.members_said(connection, [fact.cluster_id]) if fact.made else []
    ids = sorted({*fact.pictures, *touched(connection, fact, taken), *followers})
    change = change_of(connection, ids, facts, told, Correction(states=states), gone=() if again else (fact,))
    return replace(change, recluster=fact.made)


# -------------------------------------------------------------------------- parts


def made_kind(connection: Connection, ids: Sequence[int], parents: tuple[int, ...] = ()) -> ClusterRecord:
    """A kind by a person's hand, as young as the newest picture of all."""
    cluster_id = counters.take(connection, "next_cluster")
    newest = connection.execute(select(func.max(pictures.c.id))).scalar_one()
    return ClusterRecord(
        cluster_id, ClusterState.ACTIVE, parents=parents, last_new_picture=newest, exemplars=tuple(ids[:EXEMPLARS])
    )


def carried_name(kinds: Sequence[Row[Any]], into: int) -> str:
    """The name that these kinds leave to one that has none; "" where they have none either.

    Raises:
        Refused: they have several.
    """
    named = {kind.name: kind.id for kind in kinds if kind.name}
    if len(named) > 1:
        bearers = ", ".join(f"{kind} {name!r}" for name, kind in named.items())
        raise Refused(
            f"kinds {bearers} have names, of which one at most can stay, and kind {into} has no name; "
            f"`rename {into}` first, or merge into one of them"
        )
    return next(iter(named), "")


def asleep(kind: Row[Any]) -> State:
    """Ended for everyone, while the agent goes on following it."""
    return ClusterState.ENDED, ClusterState(kind.machine_state or kind.state)


def changed(
    connection: Connection,
    ids: Sequence[int],
    event: Event,
    fact: Fact,
    made: tuple[ClusterRecord, ...] = (),
    states: Mapping[int, State] | None = None,
) -> Change:
    """What a new fact makes of these pictures."""
    payload = {"pictures": list(fact.pictures), "kinds": list(fact.kinds)}
    correction = Correction(event.type, fact.cluster_id, payload, states or {})
    return change_of(connection, ids, [*counting(connection), fact], event, correction, made)


def change_of(
    connection: Connection,
    ids: Sequence[int],
    facts: Sequence[Fact],
    event: Event,
    correction: Correction,
    made: tuple[ClusterRecord, ...] = (),
    gone: Sequence[Fact] = (),
) -> Change:
    """All facts folded anew over what the agent says of these pictures.

    Args:
        gone: facts that count no more; what followed the kinds that they made belongs nowhere until the next round.
    """
    said = without(
        with_waiting(opinion.machine_of(connection, ids), ids), [fact.cluster_id for fact in gone if fact.made]
    )
    wanted, decided_N = overrule(said, facts)
    waits_N = ~decided_N & (said.cluster_N == opinion.NONE) & (said.picture_N > last_cursor(connection))
    return Change(
        rows_of(wanted, ~waits_N),
        made,
        (event,),
        event.actor,
        overruled=rows_of(said, decided_N),
        correction=correction,
        waiting=said.picture_N[waits_N].tolist(),
    )


def without(said: Assignments, kinds: Sequence[int]) -> Assignments:
    """The same, with what is said to be in these kinds in none."""
    gone_N = np.isin(said.cluster_N, np.array(kinds, dtype=np.int64))
    return Assignments(
        said.picture_N,
        np.where(gone_N, opinion.NONE, said.cluster_N),
        np.where(gone_N, np.float32(0), said.probability_N),
        said.core_N & ~gone_N,
    )


def with_waiting(said: Assignments, ids: Sequence[int]) -> Assignments:
    """Pictures that wait for their first round belong nowhere yet."""
    waiting_M = np.setdiff1d(np.array(ids, dtype=np.int64), said.picture_N)
    nothing_M = np.zeros(len(waiting_M))
    return Assignments(
        np.concatenate([said.picture_N, waiting_M]),
        np.concatenate([said.cluster_N, np.full(len(waiting_M), opinion.NONE, dtype=np.int64)]),
        np.concatenate([said.probability_N, nothing_M.astype(np.float32)]),
        np.concatenate([said.core_N, nothing_M.astype(np.bool_)]),
    )


# -------------------------------------------------------------------------- undoing


def counted(connection: Connection, fact: Fact, again: bool) -> tuple[list[Fact], set[int]]:
    """All facts once this one counts again, or no more, and the kinds that go along with merges by that."""
    without = [other for other in counting(connection) if other.event_id != fact.event_id]
    among = sorted([*without, fact], key=lambda one: one.event_id)
    were, are = (without, among) if again else (among, without)
    return gather(connection, were, are, fact.revision) if fact.kinds else (are, set())


def states_after(
    connection: Connection, fact: Fact, facts: Sequence[Fact], told: Event, taken: Collection[int]
) -> dict[int, State]:
    """How the kinds that a fact is about stand once these facts count.

    Args:
        taken: kinds that go along with merges from now on.

    Raises:
        Refused: that would take a kind away of which later corrections speak, or needs kinds that have ended.
    """
    again = any(other.event_id == fact.event_id for other in facts)
    if again:
        for needed in fact.asked if fact.made else (*fact.asked, fact.cluster_id):
            require_followed(connection, needed)
    elif fact.made:
        require_unmentioned(connection, fact)
    merged = {kind for other in facts for kind in other.kinds}
    about = (fact.cluster_id,) if fact.made else (*fact.kinds, *taken)
    states: dict[int, State] = {}
    for kind in connection.execute(select(clusters).where(clusters.c.id.in_(about))).all():
        if fact.made:
            states[kind.id] = (made_state(connection, kind.id, told) if again else ClusterState.ENDED, None)
        elif kind.id in merged:
            states[kind.id] = asleep(kind)
        else:
            states[kind.id] = (ClusterState(kind.machine_state or kind.state), None)
    return states


def made_state(connection: Connection, cluster_id: int, told: Event) -> ClusterState:
    """As what the events, and one that is about to be told, say of a kind that people made."""
    past = journal.read_past(connection)
    last = past[-1].id if past else 0
    return fold([*past, PastEvent(last + 1, told.type, told.cluster_id, detail=told.detail)])[cluster_id].state


def require_carried_on(facts: Sequence[Fact], asked: Fact) -> None:
    """Refuse that pictures come into a kind that only an earlier fact merged away.

    Args:
        asked: what would count again, or no more.
    """
    found = stranded(facts)
    if found is not None:
        fact, merge = found
        first = merge if fact.event_id == asked.event_id else fact
        raise Refused(
            f"event {fact.event_id} puts pictures into kind {fact.cluster_id}, which event {merge.event_id} merges "
            f"away before; `undo {first.event_id}` first"
        )


def require_followed(connection: Connection, cluster_id: int) -> None:
    """Refuse a kind that has ended; one that was merged into another leads there (`require_carried_on`)."""
    kind = connection.execute(select(clusters).where(clusters.c.id == cluster_id)).one()
    if kind.machine_state is None:
        corrections.living(connection, cluster_id)


def require_unmentioned(connection: Connection, fact: Fact) -> None:
    """A kind that a fact made goes with it only where no other correction speaks of it."""
    counting = select(facts_table).where(facts_table.c.active, facts_table.c.event_id != fact.event_id)
    for other in connection.execute(counting.order_by(facts_table.c.event_id.desc())):
        speaks = other.type != EventType.UNDONE and other.cluster_id == fact.cluster_id
        if speaks or fact.cluster_id in other.payload.get("kinds", ()):
            raise Refused(
                f"kind {fact.cluster_id} was made by event {fact.event_id}, and event {other.event_id} speaks of it; "
                f"`undo {other.event_id}` first"
            )


def touched(connection: Connection, fact: Fact, taken: Collection[int]) -> list[int]:
    """Pictures beside those named for which it may matter whether a fact about kinds counts, and takes others along."""
    if not fact.kinds:
        return []
    return [*opinion.members_said(connection, [*fact.kinds, *taken]), *opinion.all_decided(connection)]
