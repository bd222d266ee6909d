"""The read door: all pictures with their vectors, a page at a time, so that memory does not grow with the archive.

Each page sees a moment of its own; pictures have ids that grow, so none is seen twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, func, select

from storage.reader import Reader
from storage.records import Vectors
from storage.revisions import last_cursor
from storage.schema import embeddings, innate, pictures
from storage.vectors import stack
from storage.versions import BORN

PAGE = 2_048


class Page(NamedTuple):
    """B pictures: ids, vectors, and which rows of the learned ones are there; the others are 0."""

    ids_B: NDArray[np.int64]
    innate_BD: Vectors
    learned_BD: Vectors | None
    has_B: NDArray[np.bool_]


class ArchiveQueries(Reader):
    """The read door: vectors of everything."""

    def archive(self, version: int) -> Iterator[Page]:
        """Every picture, by id; those without a learned vector of the version too. None is learned in version 1."""
        last = 0
        while True:
            page = self._page(version, innate.c.picture_id > last, PAGE)
            if len(page.ids_B):
                yield page
                last = int(page.ids_B[-1])
            if len(page.ids_B) < PAGE:
                return

    def lacking(self, version: int, after: int) -> tuple[NDArray[np.int64], int]:
        """Of a page of pictures behind one, by id: those without a learned vector of the version, and the page's last.

        Where no more pictures come, that is the one asked about.
        """
        some = select(pictures.c.id).where(pictures.c.id > after).order_by(pictures.c.id).limit(PAGE)
        of_version = select(embeddings.c.picture_id).where(embeddings.c.version == version)
        with self._moment() as connection:
            ids = list(connection.execute(some).scalars())
            if not ids:
                return np.empty(0, dtype=np.int64), after
            between = embeddings.c.picture_id.between(ids[0], ids[-1])
            have = set(connection.execute(of_version.where(between)).scalars())
        return np.array([i for i in ids if i not in have], dtype=np.int64), ids[-1]

    def embedded_through(self, version: int) -> int:
        """The id up to which all pictures that came after the last round have a vector of the version."""
        has = select(embeddings.c.picture_id).where(
            embeddings.c.version == version, embeddings.c.picture_id == pictures.c.id
        )
        with self._moment() as connection:
            newest = connection.execute(select(func.max(pictures.c.id))).scalar() or 0
            if version == BORN:
                return newest
            later = select(func.min(pictures.c.id)).where(pictures.c.id > last_cursor(connection), ~has.exists())
            lacking = connection.execute(later).scalar()
        return newest if lacking is None else lacking - 1

    def spread(self, version: int, count: int = PAGE) -> Page:
        """A page of pictures from the whole archive, evenly spread over the order in which they arrived."""
        with self._moment() as connection:
            newest = connection.execute(select(func.max(pictures.c.id))).scalar() or 0
        stride = max(1, newest // count)
        return self._page(version, innate.c.picture_id % stride == 0, count)

    def _page(self, version: int, which: ColumnElement[bool], most: int) -> Page:
        of_version = and_(embeddings.c.picture_id == innate.c.picture_id, embeddings.c.version == version)
        both = innate.join(embeddings, of_version, isouter=True)
        query = select(innate.c.picture_id, innate.c.vector, embeddings.c.vector.label("learned")).select_from(both)
        with self._moment() as connection:
            rows = connection.execute(query.where(which).order_by(innate.c.picture_id).limit(most)).all()
        ids_B = np.array([row.picture_id for row in rows], dtype=np.int64)
        has_B = np.array([row.learned is not None for row in rows], dtype=np.bool_)
        known = [row.learned for row in rows if row.learned is not None]
        learned_BD: Vectors | None = None
        if known:
            nothing = bytes(len(known[0]))
            learned_BD = stack([row.learned or nothing for row in rows])
        return Page(ids_B, stack([row.vector for row in rows]), learned_BD, has_B)
