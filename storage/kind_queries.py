"""Kinds for people: status, kinds and history, now or as of a time.

As of a time: sizes and exemplars of the newest revision of that time, states and names folded from the events up to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from storage import counters, journal
from storage.chunks import chunks
from storage.errors import NotFound
from storage.facts import counting, followed
from storage.fold import NEWBORN, Face, undone
from storage.picture_queries import borderline
from storage.reader import Reader
from storage.records import ClusterState, EventType, VersionState
from storage.rows import ClusterDetail, ClusterRow, EventRow, NearKindRow, SizeRow, StatusRow
from storage.schema import (
    cluster_parents,
    cluster_rounds,
    clusterings,
    clusters,
    encoder_versions,
    event_others,
    events,
    pictures,
    revisions,
    state,
)
from storage.states import NEAR
from storage.visible import revision_at

BORDERLINE = 12
AGENT, PEOPLE = "agent", "people"


class KindQueries(Reader):
    """The read door: status, kinds and history, for people."""

    def status(self) -> StatusRow:
        """Counts, versions and the last round; from counters, so that it takes no longer with a million pictures."""
        with self._moment() as connection:
            counted = counters.read(connection)
            by_state = select(clusters.c.state, func.count().label("kinds")).group_by(clusters.c.state)
            kinds = {row.state: row.kinds for row in connection.execute(by_state)}
            building = select(encoder_versions.c.version).where(encoder_versions.c.state == VersionState.BUILDING)
            last = select(clusterings.c.id).order_by(clusterings.c.id.desc()).limit(1)
            return StatusRow(
                pictures=counted["pictures"],
                pending=counted["pending"],
                rejected=counted["rejected"],
                unassigned=counted["unassigned"],
                behind=counted["behind"],
                encoder_version=journal.ready_version(connection),
                building_version=connection.execute(building.limit(1)).scalar(),
                clustering_id=connection.execute(last).scalar(),
                clusters={state.value: kinds.get(state.value, 0) for state in ClusterState},
            )

    def clusters(self, as_of: datetime | None = None, include_ended: bool = False) -> list[ClusterRow]:
        """Kinds by id; hidden ones too, marked as such."""
        with self._moment() as connection:
            rows = _cluster_rows(connection, as_of)
        return [row for row in rows if include_ended or row.state is not ClusterState.ENDED]

    def cluster(self, cluster_id: int, as_of: datetime | None = None) -> ClusterDetail:
        """One kind in full, ended or not.

        Raises:
            NotFound: there is no such kind, or there was none yet.
        """
        with self._moment() as connection:
            rows = _cluster_rows(connection, as_of, cluster_id)
            if not rows:
                when = "" if as_of is None else f" as of {as_of.isoformat()}"
                raise NotFound(f"there is no kind {cluster_id}{when}; `clusters` lists them")
            born = select(cluster_parents.c.cluster_id).join(clusters, clusters.c.id == cluster_parents.c.cluster_id)
            born = born.where(cluster_parents.c.parent_id == cluster_id)
            born = born.where(clusters.c.born_revision <= revision_at(connection, as_of))
            undivided = _undivided(connection, as_of)
            return ClusterDetail(
                cluster=rows[0],
                borderline=tuple(borderline(connection, cluster_id, BORDERLINE, as_of)),
                neighbours=() if as_of is not None else _neighbours(connection, cluster_id),
                children=tuple(
                    child
                    for child in connection.execute(born.order_by(cluster_parents.c.cluster_id)).scalars()
                    if child not in undivided
                ),
                events=tuple(_history(connection, until=as_of, cluster=cluster_id)),
            )

    def sizes(self, as_of: datetime | None = None) -> list[SizeRow]:
        """How the kinds grew and shrank, by kind and then by time; ended ones too, but none that nobody ever saw."""
        grown = select(cluster_rounds.c.cluster_id, revisions.c.at, cluster_rounds.c.size)
        grown = grown.join(revisions, revisions.c.id == cluster_rounds.c.revision)
        with self._moment() as connection:
            until = grown.where(cluster_rounds.c.revision <= revision_at(connection, as_of))
            rows = connection.execute(until.order_by(cluster_rounds.c.cluster_id, cluster_rounds.c.revision)).all()
        seen = {row.cluster_id for row in rows if row.size}
        return [SizeRow(row.cluster_id, row.at, row.size) for row in rows if row.cluster_id in seen]

    def history(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        type: EventType | str | None = None,
        cluster: int | None = None,
        limit: int | None = None,
        by: str | None = None,
    ) -> list[EventRow]:
        """Events, oldest first; with `limit`, the newest ones.

        Args:
            since, until: both included.
            cluster: events about this kind, or in which it plays another part.
            by: who did it: `agent`, a person, or `people` for everyone but the agent.
        """
        with self._moment() as connection:
            return _history(connection, since, until, type, cluster, limit, by)

    def paused(self) -> bool:
        """Whether learning was paused and not resumed since."""
        switched = select(events.c.type).where(events.c.type.in_([EventType.PAUSED, EventType.RESUMED]))
        with self._moment() as connection:
            last = connection.execute(switched.order_by(events.c.id.desc()).limit(1)).scalar()
        return last == EventType.PAUSED


# -------------------------------------------------------------------------- kinds


def _cluster_rows(connection: Connection, as_of: datetime | None, only: int | None = None) -> list[ClusterRow]:
    rows = _rows_now(connection, only) if as_of is None else _rows_then(connection, as_of, only)
    faces = _faces_now(connection) if as_of is None else journal.faces(connection, as_of, only)
    parents = _parents(connection, [row.id for row in rows])
    sha_of = _shas(connection, sorted({picture for row in rows for picture in row.exemplars}))
    return [_cluster_row(row, faces.get(row.id, NEWBORN), parents.get(row.id, ()), sha_of) for row in rows]


def _rows_now(connection: Connection, only: int | None) -> Sequence[Row[Any]]:
    query = select(clusters).order_by(clusters.c.id)
    return connection.execute(query if only is None else query.where(clusters.c.id == only)).all()


def _rows_then(connection: Connection, as_of: datetime, only: int | None) -> Sequence[Row[Any]]:
    latest = select(cluster_rounds.c.cluster_id, func.max(cluster_rounds.c.revision).label("revision"))
    latest = latest.where(cluster_rounds.c.revision <= revision_at(connection, as_of))
    if only is not None:
        latest = latest.where(cluster_rounds.c.cluster_id == only)
    then = latest.group_by(cluster_rounds.c.cluster_id).subquery()
    same = and_(cluster_rounds.c.cluster_id == then.c.cluster_id, cluster_rounds.c.revision == then.c.revision)
    query = select(cluster_rounds, cluster_rounds.c.cluster_id.label("id")).join(then, same)
    return connection.execute(query.order_by(cluster_rounds.c.cluster_id)).all()


def _faces_now(connection: Connection) -> dict[int, Face]:
    rows = connection.execute(select(clusters.c.id, clusters.c.state, clusters.c.name, clusters.c.hidden))
    return {row.id: Face(ClusterState(row.state), row.name, row.hidden) for row in rows}


def _parents(connection: Connection, cluster_ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for some in chunks(cluster_ids):
        query = select(cluster_parents).where(cluster_parents.c.cluster_id.in_(some))
        for row in connection.execute(query.order_by(cluster_parents.c.cluster_id, cluster_parents.c.position)):
            found[row.cluster_id] = (*found.get(row.cluster_id, ()), row.parent_id)
    return found


def _undivided(connection: Connection, as_of: datetime | None) -> set[int]:
    """Kinds that people split off and that count no more."""
    past = journal.read_past(connection, until=as_of, types=[EventType.DIVIDED, EventType.UNDONE])
    no_more = undone(past)
    return {
        other for event in past if event.type is EventType.DIVIDED and event.id in no_more for other in event.other_ids
    }


def _neighbours(connection: Connection, cluster_id: int) -> tuple[NearKindRow, ...]:
    """The kinds nearest to one, as people see them: what they merged is what they merged it into."""
    near = connection.execute(select(state.c.value).where(state.c.key == NEAR)).scalar() or {}
    placed = counting(connection)
    seen: dict[int, float] = {}
    for other, cosine in near.get(str(cluster_id), ()):
        seen.setdefault(followed(other, placed), cosine)
    living = select(clusters.c.id, clusters.c.name).where(clusters.c.state != ClusterState.ENDED)
    names = {row.id: row.name for row in connection.execute(living.where(clusters.c.id.in_(list(seen))))}
    return tuple(
        NearKindRow(kind, names[kind], cosine) for kind, cosine in seen.items() if kind in names and kind != cluster_id
    )


def _shas(connection: Connection, picture_ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for some in chunks(picture_ids):
        rows = connection.execute(select(pictures.c.id, pictures.c.sha256).where(pictures.c.id.in_(some)))
        found.update((row.id, row.sha256) for row in rows)
    return found


def _cluster_row(row: Row[Any], face: Face, parents: tuple[int, ...], sha_of: Mapping[int, str]) -> ClusterRow:
    return ClusterRow(
        id=row.id,
        name=face.name,
        state=face.state,
        size=row.size,
        core_size=row.core_size,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        parents=parents,
        coarser=row.coarser,
        exemplars=tuple(sha_of[picture] for picture in row.exemplars if picture in sha_of),
        hidden=face.hidden,
        statistics=row.statistics,
    )


# -------------------------------------------------------------------------- events


def _history(
    connection: Connection,
    since: datetime | None = None,
    until: datetime | None = None,
    type: EventType | str | None = None,
    cluster: int | None = None,
    limit: int | None = None,
    by: str | None = None,
) -> list[EventRow]:
    query = select(events)
    if by is not None:
        query = query.where(events.c.actor != AGENT if by == PEOPLE else events.c.actor == by)
    if since is not None:
        query = query.where(events.c.at >= since)
    if until is not None:
        query = query.where(events.c.at <= until)
    if type is not None:
        query = query.where(events.c.type == str(type))
    if cluster is not None:
        mentioned = select(event_others.c.event_id).where(event_others.c.cluster_id == cluster)
        query = query.where(or_(events.c.cluster_id == cluster, events.c.id.in_(mentioned)))
    rows = connection.execute(query.order_by(events.c.id.desc()).limit(limit)).all()[::-1]
    others = journal.read_others(connection, [row.id for row in rows])
    return [
        EventRow(
            id=row.id,
            at=row.at,
            type=EventType(row.type),
            actor=row.actor,
            cluster_id=row.cluster_id,
            other_ids=others.get(row.id, ()),
            clustering_id=row.clustering_id,
            encoder_version=row.encoder_version,
            detail=row.detail,
        )
        for row in rows
    ]
