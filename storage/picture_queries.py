"""Pictures for people: where they lie and where they belong, now or as of a time, and the rows of an export.

A time in the past means: pictures that had arrived and lay there then, assignments of the newest revision of that time.
Files that were rejected are listed from their first rejection on, for as long as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from storage import journal
from storage.chunks import chunks
from storage.errors import StorageError
from storage.hashes import picture_ids
from storage.reader import Reader
from storage.rows import ExportRow, PictureRow
from storage.schema import assignments, clusterings, locations, pictures, rejections
from storage.visible import arrived, present, revision_at, visible

STATUSES = ("clustered", "unassigned", "pending", "rejected")
PAGE = 2_000

PICTURE_COLUMNS = (
    pictures.c.id,
    pictures.c.sha256,
    locations.c.uri,
    locations.c.source,
    pictures.c.captured_at,
    pictures.c.ingested_at,
    assignments.c.id.label("assignment_id"),
    assignments.c.cluster_id,
    assignments.c.probability,
    assignments.c.core,
)


class PictureQueries(Reader):
    """The read door: pictures, for people."""

    def pictures(
        self,
        cluster: int | None = None,
        status: str | None = None,
        unassigned: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        as_of: datetime | None = None,
        after: int = 0,
    ) -> list[PictureRow]:
        """Pictures, each with the first place where it lies ("" if none): as they arrived, or by `since` and `until`
        as they were taken.

        Args:
            status: one of `STATUSES`; without it, all pictures but no rejected files.
            unassigned: short for `status="unassigned"`.
            since, until: by the time at which they were taken, both included.
            after: only pictures with a higher id, for paging.

        Raises:
            StorageError: there is no such status.
        """
        status = "unassigned" if unassigned else status
        if status not in (None, *STATUSES):
            raise StorageError(f"there is no status {status!r}; choose one of {', '.join(STATUSES)}")
        with self._moment() as connection:
            if status == "rejected":  # such a file is in no kind
                return _rejected(connection, since, until, limit, as_of) if cluster is None else []
            query = _picture_query(connection, cluster, status, as_of)
            query = _between(query, pictures.c.captured_at, since, until).limit(limit)
            picture_id = _picture_id(cluster, status)
            query = query.where(picture_id > after) if after else query
            order = (picture_id,) if since is None and until is None else (pictures.c.captured_at, pictures.c.id)
            return _rows(connection, query.order_by(*order), as_of)

    def places(self, shas: Sequence[str]) -> list[str]:
        """Every uri where these pictures lie or lay; hashes may be cut off.

        Raises:
            NotFound, Refused: as `storage.hashes.picture_ids`.
        """
        with self._moment() as connection:
            found: list[str] = []
            for some in chunks(picture_ids(connection, shas)):
                found += connection.execute(select(locations.c.uri).where(locations.c.picture_id.in_(some))).scalars()
            return found

    def export_rows(self, as_of: datetime | None = None) -> Iterator[ExportRow]:
        """One row per place where a picture lies, then the rejected files; read as one moment, a page at a time."""
        with self._moment() as connection:
            names = journal.names(connection, as_of)
            version = _label_version(connection, as_of)
            with connection.execution_options(yield_per=PAGE).execute(_export_query(connection, as_of)) as rows:
                for row in rows:
                    picture = picture_row(row, names)
                    yield _export_row(picture, None if picture.status == "pending" else version)
            for rejected in _rejected(connection, None, None, None, as_of):
                yield _export_row(rejected, None)

    def by_id(self, ids: Sequence[int]) -> dict[int, PictureRow]:
        """Those of these pictures that are stored, by id."""
        found: dict[int, PictureRow] = {}
        with self._moment() as connection:
            query = _picture_query(connection, None, None, None)
            for some in chunks(list(ids)):
                rows = _rows(connection, query.where(pictures.c.id.in_(some)), None)
                found.update((row.id, row) for row in rows if row.id is not None)
        return found

    def id_of(self, sha256: str) -> int:
        """The id of a picture by its content hash, which may be cut off.

        Raises:
            NotFound: there is no such picture.
            Refused: it means several, or is no hash.
        """
        with self._moment() as connection:
            return picture_ids(connection, [sha256])[0]

    def id_at(self, uri: str) -> int | None:
        """The picture that lies at a place, as far as is known; None where none does."""
        with self._moment() as connection:
            query = select(locations.c.picture_id).where(locations.c.uri == uri, present(None))
            return connection.execute(query).scalar()


def borderline(connection: Connection, cluster: int, limit: int, as_of: datetime | None) -> list[PictureRow]:
    """The members of a kind that are least certain, least certain first."""
    revision = revision_at(connection, as_of)
    rows = select(assignments.c.probability, assignments.c.picture_id)
    rows = rows.where(assignments.c.cluster_id == cluster, assignments.c.valid_from <= revision)
    rows = rows.order_by(assignments.c.probability, assignments.c.picture_id).limit(limit)
    # asked apart, the first half is read from the front of an index
    now = connection.execute(rows.where(assignments.c.valid_to.is_(None))).all()
    then = connection.execute(rows.where(assignments.c.valid_to > revision)).all()
    ids = [picture_id for _, picture_id in sorted(map(tuple, [*now, *then]))[:limit]]
    query = _picture_query(connection, cluster, "clustered", as_of).where(assignments.c.picture_id.in_(ids))
    return _rows(connection, query.order_by(assignments.c.probability, pictures.c.id), as_of)


def picture_of(connection: Connection, picture_id: int, as_of: datetime | None) -> PictureRow | None:
    """One picture by id; None where there is none, or was none yet."""
    found = _rows(connection, _picture_query(connection, None, None, as_of).where(pictures.c.id == picture_id), as_of)
    return found[0] if found else None


def _rows(connection: Connection, query: Select[Any], as_of: datetime | None) -> list[PictureRow]:
    """Run a query for `PICTURE_COLUMNS`."""
    rows = connection.execute(query).all()
    names = journal.names(connection, as_of)
    return [picture_row(row, names) for row in rows]


# -------------------------------------------------------------------------- queries


def _picture_query(
    connection: Connection, cluster: int | None, status: str | None, as_of: datetime | None
) -> Select[Any]:
    revision = revision_at(connection, as_of)
    has_row = and_(assignments.c.picture_id == pictures.c.id, visible(revision))
    must_have_row = _must_have_row(cluster, status)
    places = locations.alias()
    first = select(func.min(places.c.id)).where(places.c.picture_id == pictures.c.id, present(as_of, places))
    joined = pictures.join(assignments, has_row, isouter=not must_have_row)
    joined = joined.join(locations, locations.c.id == first.scalar_subquery(), isouter=True)
    query = select(*PICTURE_COLUMNS).select_from(joined).where(arrived(pictures.c.ingested_at, as_of))
    if cluster is not None:
        query = query.where(assignments.c.cluster_id == cluster)
    if status == "clustered":
        query = query.where(assignments.c.cluster_id.is_not(None))
    if status == "unassigned":
        query = query.where(assignments.c.cluster_id.is_(None))
    if status == "pending":
        # a round leaves nothing up to its cursor without a row
        query = query.where(assignments.c.id.is_(None), pictures.c.id > _cursor(connection, revision))
    return query


def _must_have_row(cluster: int | None, status: str | None) -> bool:
    return cluster is not None or status in ("clustered", "unassigned")


def _picture_id(cluster: int | None, status: str | None) -> ColumnElement[int]:
    """The column whose index gives the order for nothing."""
    return assignments.c.picture_id if _must_have_row(cluster, status) else pictures.c.id


def _export_query(connection: Connection, as_of: datetime | None) -> Select[Any]:
    has_row = and_(assignments.c.picture_id == pictures.c.id, visible(revision_at(connection, as_of)))
    placed = pictures.join(locations, locations.c.picture_id == pictures.c.id).join(assignments, has_row, isouter=True)
    query = select(*PICTURE_COLUMNS).select_from(placed).where(present(as_of))
    return query.order_by(pictures.c.id, locations.c.id)


def _cursor(connection: Connection, revision: int) -> int:
    through = select(clusterings.c.through_picture).where(clusterings.c.revision <= revision)
    return connection.execute(through.order_by(clusterings.c.id.desc()).limit(1)).scalar() or 0


def _label_version(connection: Connection, as_of: datetime | None) -> int | None:
    """The encoder version of the round that made the labels."""
    revision = revision_at(connection, as_of)
    version = select(clusterings.c.encoder_version).where(clusterings.c.revision <= revision)
    return connection.execute(version.order_by(clusterings.c.id.desc()).limit(1)).scalar()


def _between(
    query: Select[Any], column: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> Select[Any]:
    if since is not None:
        query = query.where(column >= since)
    return query if until is None else query.where(column <= until)


def _rejected(
    connection: Connection, since: datetime | None, until: datetime | None, limit: int | None, as_of: datetime | None
) -> list[PictureRow]:
    query = select(rejections).where(arrived(rejections.c.first_at, as_of)).order_by(rejections.c.id).limit(limit)
    query = _between(query, rejections.c.captured_at, since, until)
    return [_rejected_row(row) for row in connection.execute(query)]


# -------------------------------------------------------------------------- rows


def picture_row(row: Row[Any], names: Mapping[int, str]) -> PictureRow:
    """A row of `PICTURE_COLUMNS` as people see it."""
    status = "pending" if row.assignment_id is None else "unassigned" if row.cluster_id is None else "clustered"
    return PictureRow(
        id=row.id,
        sha256=row.sha256,
        uri=row.uri or "",
        source=row.source or "",
        captured_at=row.captured_at,
        ingested_at=row.ingested_at,
        status=status,
        cluster_id=row.cluster_id,
        cluster_name=names.get(row.cluster_id, ""),
        probability=row.probability,
        is_core=bool(row.core),
    )


def _rejected_row(row: Row[Any]) -> PictureRow:
    return PictureRow(
        id=None,
        sha256=row.sha256,
        uri=row.uri,
        source=row.source,
        captured_at=row.captured_at,
        ingested_at=row.first_at,
        status="rejected",
        cluster_id=None,
        cluster_name="",
        probability=None,
        is_core=False,
        reason=row.reason,
    )


def _export_row(row: PictureRow, encoder_version: int | None) -> ExportRow:
    return ExportRow(
        sha256=row.sha256,
        uri=row.uri,
        source=row.source,
        captured_at=row.captured_at,
        ingested_at=row.ingested_at,
        status=row.status,
        cluster_id=row.cluster_id,
        cluster_name=row.cluster_name,
        probability=row.probability,
        is_core=row.is_core,
        encoder_version=encoder_version,
    )
