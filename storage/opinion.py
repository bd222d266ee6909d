"""What the agent says of pictures, whatever people have decided about them. Functions on an open transaction.

Where no correction decides, that is what everyone sees; where one does, it is kept in `overruled` until the
correction is undone. Only the present is kept: the history of what was believed is in `assignments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select

from storage.chunks import chunks
from storage.records import Assignments
from storage.schema import assignments, overruled, pictures
from storage.visible import revision_at, visible

NONE = -1


def visible_of(connection: Connection, picture_ids: Sequence[int]) -> Assignments:
    """What everyone sees of these pictures, in order of ids; those that wait for their first round are left out."""
    return _read(connection, assignments, picture_ids)


def machine_of(connection: Connection, picture_ids: Sequence[int]) -> Assignments:
    """What the agent says of these pictures, in order of ids; those that wait for their first round are left out."""
    seen = visible_of(connection, picture_ids)
    return laid_over(seen, _read(connection, overruled, picture_ids))


def laid_over(below: Assignments, above: Assignments) -> Assignments:
    """`below`, with the rows of `above` in their places; both in order of ids. What only `above` has is dropped."""
    at_M = np.searchsorted(below.picture_N, above.picture_N)
    known_M = at_M < len(below.picture_N)
    known_M[known_M] = below.picture_N[at_M[known_M]] == above.picture_N[known_M]
    cluster_N, probability_N, core_N = below.cluster_N.copy(), below.probability_N.copy(), below.core_N.copy()
    cluster_N[at_M[known_M]] = above.cluster_N[known_M]
    probability_N[at_M[known_M]] = above.probability_N[known_M]
    core_N[at_M[known_M]] = above.core_N[known_M]
    return Assignments(below.picture_N, cluster_N, probability_N, core_N)


def members_seen(connection: Connection, cluster_ids: Sequence[int]) -> list[int]:
    """Pictures that everyone sees in these kinds, by id."""
    current = visible(revision_at(connection, None))
    query = select(assignments.c.picture_id).where(assignments.c.cluster_id.in_(list(cluster_ids)), current)
    return list(connection.execute(query.order_by(assignments.c.picture_id)).scalars())


def members_said(
    connection: Connection,
    cluster_ids: Sequence[int],
    *,
    after: int = 0,
    through: int | None = None,
    most: int | None = None,
) -> list[int]:
    """Pictures that the agent would put into these kinds, by id: the first `most` of those after one, up to another."""
    decided = select(overruled.c.picture_id)
    free = select(assignments.c.picture_id).where(
        assignments.c.cluster_id.in_(list(cluster_ids)),
        visible(revision_at(connection, None)),
        assignments.c.picture_id.not_in(decided),
        *_between(assignments.c.picture_id, after, through),
    )
    said = decided.where(
        overruled.c.cluster_id.in_(list(cluster_ids)), *_between(overruled.c.picture_id, after, through)
    )
    first_free = free.order_by(assignments.c.picture_id).limit(most)
    first_said = said.order_by(overruled.c.picture_id).limit(most)
    found = sorted({*connection.execute(first_free).scalars(), *connection.execute(first_said).scalars()})
    return found[:most]


def _between(picture: ColumnElement[int], after: int, through: int | None) -> list[ColumnElement[bool]]:
    return [picture > after] if through is None else [picture > after, picture <= through]


def all_decided(connection: Connection) -> list[int]:
    """All pictures that a correction decides."""
    return list(connection.execute(select(overruled.c.picture_id)).scalars())


def put(connection: Connection, said: Assignments, picture_ids: Sequence[int]) -> None:
    """Keep what the agent says of those of the pictures that a correction decides, and nothing of the others."""
    rows = {
        picture: {"picture_id": picture, "cluster_id": None if kind == NONE else kind, "probability": p, "core": core}
        for picture, kind, p, core in zip(
            said.picture_N.tolist(), said.cluster_N.tolist(), said.probability_N.tolist(), said.core_N.tolist(),
            strict=True,
        )
    }  # fmt: skip
    for some in chunks(picture_ids):
        connection.execute(delete(overruled).where(overruled.c.picture_id.in_(some)))
    for some in chunks(list(rows)):
        # some may have been forgotten by people while the round ran
        exist = connection.execute(select(pictures.c.id).where(pictures.c.id.in_(some))).scalars().all()
        if exist:
            connection.execute(insert(overruled), [rows[picture] for picture in exist])


def _read(connection: Connection, table: Table, picture_ids: Sequence[int]) -> Assignments:
    columns = select(table.c.picture_id, table.c.cluster_id, table.c.probability, table.c.core)
    if table is assignments:
        columns = columns.where(visible(revision_at(connection, None)))
    rows: list[Row[Any]] = []
    for some in chunks(sorted(set(picture_ids))):
        rows += connection.execute(columns.where(table.c.picture_id.in_(some)).order_by(table.c.picture_id))
    return of_rows(rows)


def of_rows(rows: Sequence[Row[Any]]) -> Assignments:
    """Rows with `picture_id`, `cluster_id`, `probability` and `core` as arrays, by picture id."""
    rows = sorted(rows, key=lambda row: row.picture_id)
    return Assignments(
        picture_N=np.array([row.picture_id for row in rows], dtype=np.int64),
        cluster_N=np.array([NONE if row.cluster_id is None else row.cluster_id for row in rows], dtype=np.int64),
        probability_N=np.array([row.probability for row in rows], dtype=np.float32),
        core_N=np.array([row.core for row in rows], dtype=np.bool_),
    )
