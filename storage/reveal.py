"""The last transaction of a revision: clusters, sizes, counters, events, the clustering, and the row that shows it all.

Functions on an open write transaction. Knows nothing about how the assignments got there (`storage.revisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, delete, func, insert, select, update

from storage import counters, journal, opinion, placement, states
from storage.chunks import chunks
from storage.corrections import keep
from storage.errors import StorageError
from storage.offspring import adopt
from storage.records import Assignments, Clustering, ClusterRecord, ClusterState, Event, EventType
from storage.schema import assignments, cluster_parents, cluster_rounds, clusterings, clusters, pictures, revisions


@dataclass(frozen=True, slots=True)
class Correction:
    """What else becomes true with a change that people make; without a type it is the undoing of another.

    Attributes:
        cluster_id: where pictures belong by it.
        payload: `pictures` or `kinds`, by id.
        states: kind -> how everyone sees it, and how the agent does where that is something else.
    """

    type: EventType | None = None
    cluster_id: int | None = None
    payload: Mapping[str, Sequence[int]] = field(default_factory=dict)
    states: Mapping[int, tuple[ClusterState, ClusterState | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What one revision is to make visible.

    Attributes:
        clustering: None when people changed something, or between rounds.
        overruled: what the agent says of those of the pictures that a correction decides; None where that is left open.
        correction: by people.
        recluster: the agent is to look again soon.
        kept: values under keys (`storage.states`) that count from the same moment on.
        window: pictures that the round looked at; None where it is no round.
        waiting: pictures that people placed before their first round, and that wait for it again.
    """

    assignments: Assignments
    clusters: tuple[ClusterRecord, ...]
    events: tuple[Event, ...]
    actor: str = "agent"
    clustering: Clustering | None = None
    overruled: Assignments | None = None
    correction: Correction | None = None
    recluster: bool = False
    kept: Mapping[str, object] = field(default_factory=dict)
    window: Sequence[int] | None = None
    waiting: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Revealed:
    """What became visible.

    Attributes:
        clustering_id: None where it is no round.
        placed_in: the kind that a correction is about; 0 where it is none.
    """

    revision: int
    clustering_id: int | None
    event_ids: tuple[int, ...]
    placed_in: int = 0


def reveal(connection: Connection, change: Change, base: int, at: datetime) -> Revealed:
    """Show the rows of revision `base` + 1."""
    revision = base + 1
    last = connection.execute(select(revisions.c.at).where(revisions.c.id == base)).scalar()
    at = at if last is None else max(at, last)
    clustering_id = _add_round(connection, change.clustering, revision, at)
    connection.execute(insert(revisions).values(id=revision, at=at, actor=change.actor, clustering_id=clustering_id))
    put_clusters(connection, change.clusters, revision)
    _set_states(connection, change.correction)
    if change.overruled is not None:
        opinion.put(connection, change.overruled, [*change.assignments.picture_N.tolist(), *change.waiting])
    changed = [record.id for record in change.clusters]
    if change.correction is not None:
        changed += _drop_exemplars(connection, change.assignments)
    moved = _moved(connection, revision)
    note_sizes(connection, moved, revision, changed)
    _count(connection, moved, change.clustering)
    version = change.clustering.encoder_version if change.clustering else None
    event_ids = journal.append(
        connection, change.events, at, revision=revision, clustering_id=clustering_id, encoder_version=version
    )
    placed_in = _keep_fact(connection, change.correction, event_ids)
    for key, value in change.kept.items():
        states.put(connection, key, value, at)
    if change.recluster:
        newest = connection.execute(select(func.max(clusterings.c.id))).scalar() or 0
        states.put(connection, states.RECLUSTER, newest, at)
    if change.window is not None:
        placement.put_window(connection, change.window)
    return Revealed(revision, clustering_id, tuple(event_ids), placed_in)


def _keep_fact(connection: Connection, correction: Correction | None, event_ids: Sequence[int]) -> int:
    if correction is None:
        return 0
    kind = correction.type or EventType.UNDONE
    keep(connection, event_ids[0], kind, correction.cluster_id, correction.payload)
    return correction.cluster_id or 0


def _drop_exemplars(connection: Connection, placed: Assignments) -> list[int]:
    """Pictures that were placed elsewhere are no exemplars where they were, as long as others are left.

    Returns:
        Kinds that have fewer by it; perhaps such as neither grow nor shrink, because they were merged.
    """
    changed: list[int] = []
    kind_of = dict(zip(placed.picture_N.tolist(), placed.cluster_N.tolist(), strict=True))
    for row in connection.execute(select(clusters.c.id, clusters.c.exemplars)).all():
        own = [picture for picture in row.exemplars if kind_of.get(picture, row.id) == row.id]
        if own and len(own) < len(row.exemplars):
            connection.execute(update(clusters).where(clusters.c.id == row.id).values(exemplars=own))
            changed.append(row.id)
    return changed


def _set_states(connection: Connection, correction: Correction | None) -> None:
    for cluster_id, (seen, said) in ({} if correction is None else correction.states).items():
        values = {"state": seen, "machine_state": said}
        connection.execute(update(clusters).where(clusters.c.id == cluster_id).values(values))


def _add_round(connection: Connection, clustering: Clustering | None, revision: int, at: datetime) -> int | None:
    if clustering is None:
        return None
    written = insert(clusterings).values(
        at=at,
        revision=revision,
        encoder_version=clustering.encoder_version,
        through_picture=clustering.through_picture,
        window_size=clustering.window_size,
        seconds=clustering.seconds,
        parameters=clustering.parameters,
    )
    clustering_id: int = connection.execute(written.returning(clusterings.c.id)).scalar_one()
    if clustering.voters is not None:
        states.put(connection, states.VOTERS, {**clustering.voters, "clustering_id": clustering_id}, at)
    states.put(connection, states.NEAR, {str(kind): list(others) for kind, others in clustering.near.items()}, at)
    return clustering_id


def put_clusters(connection: Connection, records: Sequence[ClusterRecord], revision: int) -> None:
    """Insert new kinds and update known ones; names belong to people and are set by their events only.

    A kind that goes with a merge is none for people, while the agent follows it as it does those that were merged.
    """
    rows = connection.execute(select(clusters.c.id, clusters.c.machine_state)).all() if records else []
    known = {row.id for row in rows}
    taken = adopt(connection, [record for record in records if record.id not in known], revision)
    merged = {row.id for row in rows if row.machine_state is not None} | taken
    for record in records:
        values: dict[str, object] = {
            "machine_state" if record.id in merged else "state": record.state,
            "coarser": record.coarser,
            "absent_rounds": record.absent_rounds,
            "last_new_picture": record.last_new_picture,
            "exemplars": list(record.exemplars),
            "statistics": dict(record.statistics),
        }
        if record.id in known:
            connection.execute(update(clusters).where(clusters.c.id == record.id).values(values))
        else:
            born = {"id": record.id, "name": record.name, "hidden": False, "born_revision": revision}
            seen = {"state": ClusterState.ENDED} if record.id in taken else {}
            connection.execute(insert(clusters).values({**values, **born, **seen, "size": 0, "core_size": 0}))
        _put_parents(connection, record)


def _put_parents(connection: Connection, record: ClusterRecord) -> None:
    connection.execute(delete(cluster_parents).where(cluster_parents.c.cluster_id == record.id))
    parents = [
        {"cluster_id": record.id, "position": position, "parent_id": parent}
        for position, parent in enumerate(record.parents)
    ]
    if parents:
        connection.execute(insert(cluster_parents), parents)


Moved = dict[int | None, tuple[int, int]]
"""By how many members, and core members, each kind (None: unassigned) grows."""


def _moved(connection: Connection, revision: int) -> Moved:
    moved: Moved = {}
    for column, sign in ((assignments.c.valid_from, 1), (assignments.c.valid_to, -1)):
        core = func.sum(case((assignments.c.core, 1), else_=0))
        query = select(assignments.c.cluster_id, func.count(), core).where(column == revision)
        for cluster_id, members, cores in connection.execute(query.group_by(assignments.c.cluster_id)):
            before = moved.get(cluster_id, (0, 0))
            moved[cluster_id] = (before[0] + sign * members, before[1] + sign * int(cores))
    return moved


def note_sizes(connection: Connection, moved: Moved, revision: int, changed: Sequence[int] = ()) -> None:
    """Kinds have grown or shrunk; how they and other `changed` ones stand is kept under the revision.

    Raises:
        StorageError: a kind does not exist.
    """
    _resize(connection, moved)
    _remember(connection, sorted({*changed, *(i for i in moved if i is not None)}), revision)


def _resize(connection: Connection, moved: Moved) -> None:
    for cluster_id, (members, cores) in moved.items():
        if cluster_id is None:
            continue
        resized = update(clusters).where(clusters.c.id == cluster_id)
        known = connection.execute(
            resized.values(
                size=clusters.c.size + members,
                core_size=clusters.c.core_size + cores,
                first_seen=_seen(connection, cluster_id, func.min),
                last_seen=_seen(connection, cluster_id, func.max),
            )
        )
        if known.rowcount == 0:
            raise StorageError(f"assignments name kind {cluster_id}, which does not exist; add its record to the round")


def _seen(connection: Connection, cluster_id: int, extreme: Callable[..., object]) -> datetime | None:
    """When the first (min) or last (max) member arrived: ids and times of arrival grow together."""
    member = select(extreme(assignments.c.picture_id)).where(  # type: ignore[call-overload]
        assignments.c.cluster_id == cluster_id, assignments.c.valid_to.is_(None)
    )
    return connection.execute(select(pictures.c.ingested_at).where(pictures.c.id == member.scalar_subquery())).scalar()


TELLING = ("size", "core_size", "first_seen", "last_seen", "coarser", "exemplars")
"""What is worth a row of history when it changes; what a round measures is never twice the same."""


def _remember(connection: Connection, cluster_ids: Sequence[int], revision: int) -> None:
    """Keep how those of these kinds stand that stand otherwise than before, for questions about the past."""
    kept = (*TELLING, "statistics")
    for some in chunks(cluster_ids):
        before = {row.cluster_id: row for row in connection.execute(_last_rows(some))}
        rows = connection.execute(
            select(clusters.c.id, *(clusters.c[name] for name in kept)).where(clusters.c.id.in_(some))
        )
        values = [
            {"cluster_id": row.id, "revision": revision, **{name: getattr(row, name) for name in kept}}
            for row in rows
            if row.id not in before or any(getattr(row, name) != getattr(before[row.id], name) for name in TELLING)
        ]
        if values:
            connection.execute(insert(cluster_rounds), values)


def _last_rows(cluster_ids: Sequence[int]) -> Select[Any]:
    """How these kinds stood when last something was kept of them."""
    of_each = select(cluster_rounds.c.cluster_id, func.max(cluster_rounds.c.revision).label("revision"))
    last = of_each.where(cluster_rounds.c.cluster_id.in_(cluster_ids)).group_by(cluster_rounds.c.cluster_id).subquery()
    same = and_(cluster_rounds.c.cluster_id == last.c.cluster_id, cluster_rounds.c.revision == last.c.revision)
    return select(cluster_rounds).join(last, same)


def _count(connection: Connection, moved: Moved, clustering: Clustering | None) -> None:
    first_rows = sum(members for members, _ in moved.values())
    counters.bump(connection, pending=-first_rows, unassigned=moved.get(None, (0, 0))[0])
    if clustering is not None:
        later = select(func.count()).select_from(pictures).where(pictures.c.id > clustering.through_picture)
        counters.put(connection, behind=connection.execute(later).scalar_one())
