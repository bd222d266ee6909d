"""The read door: what the agent asks of its memory, beside what people ask (`kind_queries`, `picture_queries`).

Answers are frozen rows or numpy arrays: `N` pictures, `D` dimensions; vectors are float16. Each question sees one
moment. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, select

from storage import arrivals, journal, opinion
from storage.answers import Answers
from storage.archive import ArchiveQueries
from storage.chunks import chunks
from storage.errors import NotFound
from storage.facts import Fact, counting
from storage.records import Assignments, ClusterRecord, ClusterState, EventType, LocationRecord, Vectors, VersionState
from storage.rows import ClusteringRow, StoredPicture, VersionRow
from storage.schema import (
    assignments,
    cluster_parents,
    clusterings,
    clusters,
    embeddings,
    encoder_versions,
    events,
    innate,
    layouts,
    locations,
    pictures,
    rejections,
    thumbnails,
    window,
)
from storage.standing import StandingQueries
from storage.vectors import from_bytes, stack
from storage.visible import revision_at, visible

BORN = 1
URIS_PAGE = 5_000

__all__ = ["ClusteringRow", "Queries", "StoredPicture", "VersionRow"]


class Queries(Answers, ArchiveQueries, StandingQueries):
    """Everything that can be read. Args: engine: from `storage.engine.open_engine`."""

    # ---------------------------------------------------------------- for sources

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        """(size_bytes, mtime_ns) of those files that are stored as pictures or as rejected."""
        found: dict[str, tuple[int, int]] = {}
        with self._moment() as connection:
            for some in chunks(list(uris)):
                for table in (locations, rejections):
                    query = select(table.c.uri, table.c.size_bytes, table.c.mtime_ns).where(table.c.uri.in_(some))
                    query = query.where(table.c.size_bytes.is_not(None), table.c.mtime_ns.is_not(None))
                    if table is locations:
                        query = query.where(locations.c.missing_at.is_(None))
                    rows = connection.execute(query)
                    found.update((row.uri, (row.size_bytes, row.mtime_ns)) for row in rows)
        return found

    def present_uris(self, source: str) -> Iterator[str]:
        """Where files of a source lie, rejected ones too; read in pages, so that a slow reader holds up nobody."""
        return self._present(lambda table: table.c.source == source)

    def present_below(self, folder: str) -> Iterator[str]:
        """Where files lie below a folder, whatever source they are of; otherwise as `present_uris`."""
        below = self._present(lambda table: table.c.uri.startswith(folder, autoescape=True))
        return (uri for uri in below if uri.startswith(folder))  # to SQLite upper and lower case are the same

    def _present(self, chosen: Callable[[Table], ColumnElement[bool]]) -> Iterator[str]:
        for table in (locations, rejections):
            last = 0
            while True:
                query = select(table.c.id, table.c.uri).where(chosen(table), table.c.id > last)
                if table is locations:
                    query = query.where(locations.c.missing_at.is_(None))
                with self._moment() as connection:
                    rows = connection.execute(query.order_by(table.c.id).limit(URIS_PAGE)).all()
                yield from (row.uri for row in rows)
                if len(rows) < URIS_PAGE:
                    break
                last = rows[-1].id

    def existing(self, shas: Sequence[str]) -> dict[str, int]:
        """Ids of those content hashes that are stored."""
        with self._moment() as connection:
            return arrivals.ids_by_sha(connection, shas)

    # ---------------------------------------------------------------- pictures

    def pictures_after(self, picture_id: int, limit: int) -> list[StoredPicture]:
        """The next pictures after a cursor, by id."""
        query = _stored_pictures().where(pictures.c.id > picture_id).order_by(pictures.c.id).limit(limit)
        with self._moment() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def pictures_by_sha(self, shas: Sequence[str]) -> list[StoredPicture]:
        """Those that are stored, in the order of `shas`."""
        found: dict[str, StoredPicture] = {}
        with self._moment() as connection:
            for some in chunks(list(shas)):
                rows = connection.execute(_stored_pictures().where(pictures.c.sha256.in_(some)))
                found.update((row.sha256, _stored(row)) for row in rows)
        return [found[sha256] for sha256 in shas if sha256 in found]

    def thumbnails(self, ids: Sequence[int]) -> dict[int, bytes]:
        """Encoded thumbnails of those pictures that are stored."""
        with self._moment() as connection:
            return _blobs(connection, select(thumbnails.c.picture_id, thumbnails.c.image), thumbnails.c.picture_id, ids)

    def last_picture_id(self) -> int:
        """The newest picture's id; 0 when there is none."""
        with self._moment() as connection:
            return connection.execute(select(func.max(pictures.c.id))).scalar() or 0

    def count_after(self, picture_id: int, through: int | None = None) -> int:
        """How many pictures came after a cursor, or after it and up to another one."""
        query = select(func.count()).select_from(pictures).where(pictures.c.id > picture_id)
        if through is not None:
            query = query.where(pictures.c.id <= through)
        with self._moment() as connection:
            return connection.execute(query).scalar_one()

    def window_keys(self, after: int = 0) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Ids (N,), ascending, and keys (N,) of all pictures, or of those after an id.

        A key is the first 8 bytes of the content hash.
        """
        query = select(pictures.c.id, func.substr(pictures.c.sha256, 1, 16)).order_by(pictures.c.id)
        query = query.where(pictures.c.id > after)
        with self._moment() as connection:
            rows = connection.execute(query).all()
        ids_N = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        key_N = np.frombuffer(bytes.fromhex("".join(row[1] for row in rows)), dtype=">u8")
        return ids_N, key_N.astype(np.uint64)

    def last_forgotten(self) -> int:
        """The newest event by which pictures were forgotten; 0 when there is none."""
        return self._last_event(EventType.FORGOTTEN)

    def last_shift(self) -> int:
        """The newest event by which the learner noticed a shift of the stream; 0 when there is none."""
        return self._last_event(EventType.SHIFT_DETECTED)

    def _last_event(self, of_type: EventType) -> int:
        newest = select(events.c.id).where(events.c.type == of_type).order_by(events.c.id.desc())
        with self._moment() as connection:
            return connection.execute(newest.limit(1)).scalar() or 0

    # ---------------------------------------------------------------- encoder versions and vectors

    def ready_version(self) -> int:
        """The published encoder version.

        Raises:
            NotFound: the agent was never started here.
        """
        with self._moment() as connection:
            version = journal.ready_version(connection)
        if version is None:
            raise NotFound("there is no encoder version yet; start the agent with `run`")
        return version

    def building_version(self) -> int | None:
        """The version that is being built, if any."""
        query = select(encoder_versions.c.version).where(encoder_versions.c.state == VersionState.BUILDING)
        with self._moment() as connection:
            return connection.execute(query.limit(1)).scalar()

    def version(self, version: int) -> VersionRow:
        """One encoder version.

        Raises:
            NotFound: there is no such version.
        """
        with self._moment() as connection:
            row = connection.execute(
                select(encoder_versions).where(encoder_versions.c.version == version)
            ).one_or_none()
        if row is None:
            raise NotFound(f"there is no encoder version {version}")
        return VersionRow(**{**row._asdict(), "state": VersionState(row.state)})

    def unembedded(self, version: int, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `ids`, in their order, that are stored but lack a vector of this version."""
        wanted = _numbers(ids)
        with self._moment() as connection:
            exist = _keys(connection, pictures.c.id, select(pictures.c.id), wanted)
            if version == BORN:
                have = _keys(connection, innate.c.picture_id, select(innate.c.picture_id), wanted)
            else:
                of_version = select(embeddings.c.picture_id).where(embeddings.c.version == version)
                have = _keys(connection, embeddings.c.picture_id, of_version, wanted)
        return np.array([i for i in wanted if i in exist and i not in have], dtype=np.int64)

    def embeddings(
        self, ids: Sequence[int] | NDArray[np.int64], version: int
    ) -> tuple[NDArray[np.int64], Vectors, Vectors | None]:
        """Ids (N,), innate (N, D) and learned (N, D) vectors of those of `ids`, in their order, that have both.

        Learned is None for version 1, which is the innate network.
        """
        wanted = _numbers(ids)
        with self._moment() as connection:
            born = _blobs(connection, select(innate.c.picture_id, innate.c.vector), innate.c.picture_id, wanted)
            if version == BORN:
                have = [i for i in wanted if i in born]
                return np.array(have, dtype=np.int64), stack([born[i] for i in have]), None
            of_version = select(embeddings.c.picture_id, embeddings.c.vector).where(embeddings.c.version == version)
            learned = _blobs(connection, of_version, embeddings.c.picture_id, wanted)
        have = [i for i in wanted if i in born and i in learned]
        return np.array(have, dtype=np.int64), stack([born[i] for i in have]), stack([learned[i] for i in have])

    def innate(self, ids: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], Vectors]:
        """Ids (N,) and innate vectors (N, D) of those of `ids`, in their order, that are stored."""
        found, innate_ND, _ = self.embeddings(ids, BORN)
        return found, innate_ND

    # ---------------------------------------------------------------- kinds

    def revision(self) -> int:
        """The newest visible revision; 0 before the first."""
        with self._moment() as connection:
            return revision_at(connection, None)

    def last_clustering(self) -> ClusteringRow | None:
        """The newest visible round."""
        with self._moment() as connection:
            row = connection.execute(select(clusterings).order_by(clusterings.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else ClusteringRow(**row._asdict())

    def living_clusters(self) -> list[ClusterRecord]:
        """All kinds that the agent follows, by id, as the last round left them and people named them.

        Those that people merged into others are among them: the agent follows them on, so that it can be undone.
        """
        state = func.coalesce(clusters.c.machine_state, clusters.c.state)
        parents: dict[int, list[int]] = {}
        with self._moment() as connection:
            alive = select(clusters).where(state != ClusterState.ENDED).order_by(clusters.c.id)
            rows = connection.execute(alive).all()
            placed = {kind for fact in counting(connection) for kind in (fact.cluster_id, *fact.asked)}
            for edge in connection.execute(select(cluster_parents).order_by(cluster_parents.c.position)):
                parents.setdefault(edge.cluster_id, []).append(edge.parent_id)
        return [_record(row, tuple(parents.get(row.id, ())), row.id in placed) for row in rows]

    def unconfirmed(self) -> bool:
        """Whether any kind that the agent follows is provisional."""
        state = func.coalesce(clusters.c.machine_state, clusters.c.state)
        with self._moment() as connection:
            found = select(clusters.c.id).where(state == ClusterState.PROVISIONAL).limit(1)
            return connection.execute(found).scalar() is not None

    def assignments(self, ids: Sequence[int] | NDArray[np.int64] | None = None) -> Assignments:
        """Current assignments of those of `ids` that have one, or of all pictures, by picture id."""
        columns = select(
            assignments.c.picture_id, assignments.c.cluster_id, assignments.c.probability, assignments.c.core
        )
        with self._moment() as connection:
            current = columns.where(visible(revision_at(connection, None)))
            if ids is None:
                rows: list[Row[Any]] = list(connection.execute(current))
            else:
                rows = []
                for some in chunks(_numbers(ids)):
                    rows += connection.execute(current.where(assignments.c.picture_id.in_(some)))
        return opinion.of_rows(rows)

    def facts(self) -> list[Fact]:
        """People's corrections that say where pictures belong, as far as they count, in order."""
        with self._moment() as connection:
            return counting(connection)

    def said(self, ids: Sequence[int] | NDArray[np.int64]) -> Assignments:
        """What the agent says of those of `ids` that have an assignment, whatever people decided; by picture id."""
        with self._moment() as connection:
            return opinion.machine_of(connection, _numbers(ids))

    def said_members(
        self, cluster_ids: Sequence[int], *, after: int = 0, through: int | None = None, most: int | None = None
    ) -> Assignments:
        """What the agent says of all pictures that it has in some kinds, by picture id; over the whole archive.

        Args:
            after, through: only of those after the one and up to the other.
            most: only of the first so many.
        """
        with self._moment() as connection:
            ids = opinion.members_said(connection, cluster_ids, after=after, through=through, most=most)
            return opinion.machine_of(connection, ids)

    def kinds_of(self, shas: Sequence[str]) -> dict[str, int]:
        """sha256 -> kind, for those of `shas` that belong to one now."""
        found: dict[str, int] = {}
        with self._moment() as connection:
            current = visible(revision_at(connection, None))
            query = select(pictures.c.sha256, assignments.c.cluster_id).join(
                assignments, assignments.c.picture_id == pictures.c.id
            )
            for some in chunks(list(shas)):
                rows = connection.execute(query.where(pictures.c.sha256.in_(some), current))
                found.update((row.sha256, row.cluster_id) for row in rows if row.cluster_id is not None)
        return found

    def window(self) -> NDArray[np.int64]:
        """Ids (N,), ascending, of the pictures that the last round looked at."""
        with self._moment() as connection:
            ids = connection.execute(select(window.c.picture_id).order_by(window.c.picture_id)).scalars().all()
        return np.array(ids, dtype=np.int64)

    def layout(self, ids: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Places (N, 2) of these pictures on the map; NaN where it does not show them."""
        found: dict[int, tuple[float, float]] = {}
        columns = select(layouts.c.picture_id, layouts.c.x, layouts.c.y)
        with self._moment() as connection:
            for some in chunks(_numbers(ids)):
                rows = connection.execute(columns.where(layouts.c.picture_id.in_(some)))
                found.update((row.picture_id, (row.x, row.y)) for row in rows)
        nowhere = (np.nan, np.nan)
        places = [found.get(int(i), nowhere) for i in ids]
        return np.array(places, dtype=np.float32).reshape(len(places), 2)

    def ids_before(self, picture_id: int | None, limit: int) -> NDArray[np.int64]:
        """The pictures that came last before one, or last of all, (N,), the newest first."""
        query = select(pictures.c.id).order_by(pictures.c.id.desc()).limit(limit)
        query = query if picture_id is None else query.where(pictures.c.id < picture_id)
        with self._moment() as connection:
            return np.array(connection.execute(query).scalars().all(), dtype=np.int64)


def _numbers(ids: Sequence[int] | NDArray[np.int64]) -> list[int]:
    """Plain integers, each once, in their order: drivers do not take numpy's."""
    return list(dict.fromkeys(np.asarray(ids, dtype=np.int64).tolist()))


def _keys(connection: Connection, column: Any, query: Select[Any], ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for some in chunks(ids):
        found.update(connection.execute(query.where(column.in_(some))).scalars())
    return found


def _blobs(connection: Connection, query: Select[Any], key: Any, ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for some in chunks(ids):
        found.update(tuple(row) for row in connection.execute(query.where(key.in_(some))))
    return found


def _stored_pictures() -> Select[Any]:
    places = locations.alias()
    first = select(func.min(places.c.id)).where(places.c.picture_id == pictures.c.id)
    joined = pictures.join(thumbnails, thumbnails.c.picture_id == pictures.c.id)
    joined = joined.join(innate, innate.c.picture_id == pictures.c.id)
    joined = joined.join(locations, locations.c.id == first.scalar_subquery(), isouter=True)
    of_place = (locations.c.uri, locations.c.source, locations.c.size_bytes, locations.c.mtime_ns)
    of_picture = (pictures.c.id, pictures.c.sha256, pictures.c.captured_at, thumbnails.c.image, innate.c.vector)
    return select(*of_picture, *of_place).select_from(joined)


def _stored(row: Row[Any]) -> StoredPicture:
    return StoredPicture(
        id=row.id,
        sha256=row.sha256,
        thumbnail=row.image,
        innate_D=from_bytes(row.vector),
        captured_at=row.captured_at,
        place=None if row.uri is None else LocationRecord(row.uri, row.source, row.size_bytes, row.mtime_ns),
    )


def _record(row: Row[Any], parents: tuple[int, ...], placed: bool) -> ClusterRecord:
    return ClusterRecord(
        id=row.id,
        state=ClusterState(row.machine_state or row.state),
        name=row.name,
        parents=parents,
        coarser=row.coarser,
        absent_rounds=row.absent_rounds,
        last_new_picture=row.last_new_picture,
        exemplars=tuple(row.exemplars),
        statistics=row.statistics,
        placed=placed,
    )
