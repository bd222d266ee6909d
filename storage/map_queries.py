"""The map, for people: where pictures lie on it, and which kind they belong to, now or as of a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, select

from storage.chunks import chunks
from storage.reader import Reader
from storage.rows import PlaceRow
from storage.schema import assignments, layouts, pictures
from storage.visible import arrived, revision_at, visible


class MapQueries(Reader):
    """The read door: the map."""

    def map(self, limit: int, as_of: datetime | None = None) -> list[PlaceRow]:
        """At most `limit` pictures where they lie now, with the kind that they belong to, or belonged to at a time.

        Which ones depends on their content hashes alone, so that they are a uniform sample, and the same ones every
        time.
        """
        with self._moment() as connection:
            query = _query(revision_at(connection, as_of)).where(arrived(pictures.c.ingested_at, as_of))
            return [_place(row) for row in connection.execute(query.order_by(pictures.c.sha256).limit(limit))]

    def on_map(self, shas: Sequence[str], as_of: datetime | None = None) -> dict[str, PlaceRow]:
        """Those of these pictures that the map shows, by content hash, with their kinds now or at a time."""
        found: dict[str, PlaceRow] = {}
        with self._moment() as connection:
            query = _query(revision_at(connection, as_of))
            for some in chunks(list(shas)):
                found.update(
                    (row.sha256, _place(row)) for row in connection.execute(query.where(pictures.c.sha256.in_(some)))
                )
        return found


def _query(revision: int) -> Select[Any]:
    belongs = and_(assignments.c.picture_id == pictures.c.id, visible(revision))
    placed = pictures.join(layouts, layouts.c.picture_id == pictures.c.id).join(assignments, belongs, isouter=True)
    return select(pictures.c.sha256, layouts.c.x, layouts.c.y, assignments.c.cluster_id).select_from(placed)


def _place(row: Row[Any]) -> PlaceRow:
    return PlaceRow(row.sha256, row.x, row.y, row.cluster_id)
