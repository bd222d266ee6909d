"""How pictures changed their kind: one picture over time, and all of them between two moments.

Only rows of `assignments` are compared, so an answer costs what has changed and not what there is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, select

from storage import journal
from storage.errors import NotFound
from storage.hashes import picture_ids
from storage.picture_queries import picture_of
from storage.reader import Reader
from storage.rows import BelongedRow, ChangeRow, PictureDetail
from storage.schema import assignments, clusterings, locations, pictures, revisions
from storage.visible import present, revision_at, visible


class ChangeQueries(Reader):
    """The read door: what changed its kind."""

    def picture(self, sha256: str, as_of: datetime | None = None) -> PictureDetail:
        """One picture: where it belongs, where it lies, and where it has belonged, oldest first.

        Args:
            sha256: may be cut off.

        Raises:
            NotFound: there is no such picture, or there was none yet.
            Refused: it means several.
        """
        with self._moment() as connection:
            (picture_id,) = picture_ids(connection, [sha256])
            lies = select(locations.c.uri).where(locations.c.picture_id == picture_id, present(as_of))
            picture = picture_of(connection, picture_id, as_of)
            if picture is None:
                raise NotFound(f"there was no picture {sha256} at that time")
            repeats = select(pictures.c.repeats).where(pictures.c.id == picture_id)
            return PictureDetail(
                picture=picture,
                uris=tuple(connection.execute(lies.order_by(locations.c.id)).scalars()),
                belonged=tuple(_belonged(connection, picture_id, as_of)),
                repeats=connection.execute(repeats).scalar_one(),
            )

    def changes(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        encoder_version: int | None = None,
        cluster: int | None = None,
        limit: int | None = None,
    ) -> list[ChangeRow]:
        """Pictures that were assigned at one moment and belong to another kind at the other; the latest changes first.

        Args:
            since, until: the moments; without, before the newest revision and now.
            encoder_version: in place of moments, the round by which its first clustering became visible.
            cluster: only those that went into this kind or came out of it.

        Raises:
            NotFound: nothing was clustered under that encoder version.
        """
        with self._moment() as connection:
            if encoder_version is not None:
                last = _first_round(connection, encoder_version)
                first = last - 1
            else:
                last = revision_at(connection, until)
                first = last - 1 if since is None else revision_at(connection, since)
            return _changes(connection, first, last, cluster, limit)


def _belonged(connection: Connection, picture_id: int, as_of: datetime | None) -> list[BelongedRow]:
    columns = select(assignments, revisions.c.at, revisions.c.actor, clusterings.c.encoder_version)
    joined = assignments.join(revisions, revisions.c.id == assignments.c.valid_from)
    joined = joined.join(clusterings, clusterings.c.id == revisions.c.clustering_id, isouter=True)
    query = columns.select_from(joined).where(assignments.c.picture_id == picture_id)
    query = query.where(assignments.c.valid_from <= revision_at(connection, as_of))
    names = journal.names(connection, as_of)
    return [
        BelongedRow(
            at=row.at,
            cluster_id=row.cluster_id,
            cluster_name=names.get(row.cluster_id, ""),
            probability=row.probability,
            is_core=row.core,
            actor=row.actor,
            encoder_version=row.encoder_version,
        )
        for row in connection.execute(query.order_by(assignments.c.valid_from))
    ]


def _first_round(connection: Connection, encoder_version: int) -> int:
    of_version = select(clusterings.c.revision).where(clusterings.c.encoder_version == encoder_version)
    found: int | None = connection.execute(of_version.order_by(clusterings.c.id).limit(1)).scalar()
    if found is None:
        raise NotFound(f"nothing was clustered under encoder version {encoder_version}; `status` tells the newest")
    return found


def _changes(connection: Connection, first: int, last: int, cluster: int | None, limit: int | None) -> list[ChangeRow]:
    before, after = assignments.alias("before"), assignments.alias("after")
    was = and_(before.c.picture_id == after.c.picture_id, visible(first, before))
    places = select(locations.c.uri).where(locations.c.picture_id == pictures.c.id, present(None))
    query = select(
        pictures.c.sha256,
        places.order_by(locations.c.id).limit(1).scalar_subquery().label("uri"),
        before.c.cluster_id.label("was"),
        after.c.cluster_id.label("belongs"),
    ).select_from(after.join(before, was).join(pictures, pictures.c.id == after.c.picture_id))
    query = query.where(after.c.valid_from > first, visible(last, after))
    query = query.where(before.c.cluster_id.is_distinct_from(after.c.cluster_id))
    if cluster is not None:
        query = query.where((before.c.cluster_id == cluster) | (after.c.cluster_id == cluster))
    rows = connection.execute(query.order_by(after.c.valid_from.desc(), after.c.picture_id).limit(limit))
    return [ChangeRow(row.sha256, row.uri or "", row.was, row.belongs) for row in rows]
