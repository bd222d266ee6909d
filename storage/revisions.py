"""One visible change of who belongs where: written in pieces, made visible by one row.

    tidy      rows of a writer that died are removed
    pieces    changed assignments under the next revision, a short transaction each, so that nobody waits long
    reveal    clusters, sizes, counters, events, the clustering, and last the revision's row: all in one transaction
    renew     new certainties of what stays where it was, in rows that are visible already; in short transactions, too

What people change comes in one transaction instead, so that it cannot mix with the pieces of a round.

Readers look at rows up to the newest row of `revisions`, so that they see all of it or nothing; only certainties follow
some seconds later (50,000 in one transaction would hold up others for 0.5 s on SQLite, and for 3 s on PostgreSQL). A
writer that dies in between leaves certainties of the round before, until the next round. Should someone else
reveal a revision in between, the pieces are void: the writer starts again, or tells its caller (`Outdated`).
Knows nothing about how kinds are found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, and_, bindparam, delete, insert, select, update
from sqlalchemy.exc import OperationalError

from storage.chunks import chunks
from storage.errors import Outdated, StoreLocked, Unreachable
from storage.records import Assignments, ClusterState
from storage.reveal import Change, Revealed, reveal
from storage.schema import assignments, clusterings, clusters, pictures
from storage.visible import revision_at

PIECE = 1_000
"""Assignments in one transaction: some 30 ms."""
LOOKED_AT = 5_000
"""Pictures that one transaction looks at for a missing row."""
ATTEMPTS = 20
Renewed = dict[str, float]
"""A row's number, and its certainty from now on."""


class RevisionWriter:
    """Writes revisions through `engine`, whose transactions wait for other writers when they begin.

    Args:
        pause: called with seconds between pieces, so that a writer that waits gets its turn.
    """

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._pause = pause

    def write(self, change: Change, base: int | None = None) -> Revealed:
        """Write and reveal a change.

        Args:
            base: the revision on which the change was worked out; None when it holds on any.

        Raises:
            Outdated: `base` is no longer the newest revision.
            StorageError: assignments name kinds that do not exist.
        """
        for _ in range(ATTEMPTS):
            try:
                return self._attempt(change, base)
            except Outdated:
                if base is not None:
                    raise
        raise Outdated("other revisions kept coming in between; try again when people's corrections pause")

    def write_at_once(self, plan: Callable[[Connection], Change]) -> Revealed:
        """Work out a change, write and reveal it in one transaction, which nothing can overtake: for people.

        A round that is being written meanwhile is void, and is repeated on top of it. A change of 100,000 pictures
        holds up other writers for some seconds.
        """
        with self._engine.begin() as connection:
            base = revision_at(connection, None)
            tidy(connection, base)
            change = plan(connection)
            last_N = _last_of_each(change.assignments.picture_N)
            for start in range(0, len(last_N), PIECE):
                some = last_N[start : start + PIECE]
                _write_piece(connection, change.assignments, some, base + 1, by_hand=True)
            _close(connection, change.waiting, base + 1)
            return reveal(connection, change, base, self._clock())

    def _attempt(self, change: Change, base: int | None) -> Revealed:
        with self._engine.begin() as connection:
            newest = revision_at(connection, None)
            worked_out_on, base = base, newest if base is None else base
            _require(connection, base)
            tidy(connection, newest)
        renewed = self._write_pieces(change.assignments, base)
        if change.clustering is not None:
            self._fill_unassigned(change.clustering.through_picture, base)
        with self._engine.begin() as connection:
            _require(connection, base)
            if worked_out_on is not None:
                _require_nameless(connection, change)
            revealed = reveal(connection, change, base, self._clock())
        with suppress(StoreLocked, Unreachable, OperationalError):  # the change is visible, so it has not failed
            self._renew(renewed, revealed.revision)
        return revealed

    def _write_pieces(self, wanted: Assignments, base: int) -> list[Renewed]:
        last_N = _last_of_each(wanted.picture_N)
        renewed: list[Renewed] = []
        for start in range(0, len(last_N), PIECE):
            started = time.monotonic()
            with self._engine.begin() as connection:
                _require(connection, base)
                renewed += _write_piece(connection, wanted, last_N[start : start + PIECE], base + 1)
            self._pause(time.monotonic() - started)
        return renewed

    def _renew(self, renewed: Sequence[Renewed], revision: int) -> None:
        """Write certainties of rows that stay; not of those that people have closed or removed meanwhile."""
        this = (assignments.c.id == bindparam("row")) & assignments.c.valid_to.is_(None)
        this &= assignments.c.valid_from < revision  # the number of a row that is gone may have been given again
        written = update(assignments).where(this).values(probability=bindparam("certainty"))
        for start in range(0, len(renewed), PIECE):
            started = time.monotonic()
            with self._engine.begin() as connection:
                connection.execute(written, renewed[start : start + PIECE])
            self._pause(time.monotonic() - started)

    def _fill_unassigned(self, through: int, base: int) -> None:
        """Every picture up to the cursor has a row from now on, those without a kind too."""
        with self._engine.connect() as connection:
            after = last_cursor(connection)
        while after < through:
            with self._engine.begin() as connection:
                _require(connection, base)
                missing, after = _without_row(connection, after, through)
                if missing:
                    connection.execute(insert(assignments), [_row(i, None, 0.0, False, base + 1) for i in missing])


def _require(connection: Connection, base: int) -> None:
    newest = revision_at(connection, None)
    if newest != base:
        raise Outdated(f"revision {base} was overtaken by {newest}; read again and repeat")


def _require_nameless(connection: Connection, change: Change) -> None:
    """A kind that somebody named while the round ran must not end by it."""
    ending = [record.id for record in change.clusters if record.state is ClusterState.ENDED]
    for some in chunks(ending):
        named = select(clusters.c.id).where(clusters.c.id.in_(some), clusters.c.name != "")
        named = named.where(clusters.c.state != ClusterState.ENDED)
        found = connection.execute(named.limit(1)).scalar()
        if found is not None:
            raise Outdated(f"kind {found} has a name by now, and a round that did not know it would end it; repeat it")


def tidy(connection: Connection, revision: int) -> None:
    """Remove what a writer that died had written beyond the newest revision."""
    connection.execute(delete(assignments).where(assignments.c.valid_from > revision))
    connection.execute(update(assignments).where(assignments.c.valid_to > revision).values(valid_to=None))


# -------------------------------------------------------------------------- pieces


def _last_of_each(picture_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of each picture's last mention, in order of picture ids."""
    _, from_the_end = np.unique(picture_N[::-1], return_index=True)
    return len(picture_N) - 1 - from_the_end


def _write_piece(
    connection: Connection, wanted: Assignments, at_M: NDArray[np.int64], revision: int, *, by_hand: bool = False
) -> list[Renewed]:
    """Rows for some of the wanted assignments; by a person's hand a new certainty is history, too.

    Returns:
        New certainties for rows that are visible already, which nobody may see yet.
    """
    ids = wanted.picture_N[at_M].tolist()
    exist = set(connection.execute(select(pictures.c.id).where(pictures.c.id.in_(ids))).scalars())
    columns = select(
        assignments.c.id,
        assignments.c.picture_id,
        assignments.c.cluster_id,
        assignments.c.probability,
        assignments.c.core,
    )
    rows = connection.execute(columns.where(assignments.c.picture_id.in_(ids), assignments.c.valid_to.is_(None)))
    current = {row.picture_id: row for row in rows}
    opened, closed = [], []
    renewed: list[Renewed] = []
    for position, picture_id in zip(at_M.tolist(), ids, strict=True):
        if picture_id not in exist:
            continue  # forgotten by people while the round ran
        label = int(wanted.cluster_N[position])
        cluster_id = None if label < 0 else label
        probability, core = float(wanted.probability_N[position]), bool(wanted.core_N[position])
        before = current.get(picture_id)
        if before is not None and (before.cluster_id, before.core) == (cluster_id, core):
            if by_hand and before.probability != probability:
                closed.append({"row": before.id})
                opened.append(_row(picture_id, cluster_id, probability, core, revision))
            elif before.probability != probability:
                renewed.append({"row": before.id, "certainty": probability})
            continue
        if before is not None:
            closed.append({"row": before.id})
        opened.append(_row(picture_id, cluster_id, probability, core, revision))
    this = assignments.c.id == bindparam("row")
    if closed:
        connection.execute(update(assignments).where(this).values(valid_to=revision), closed)
    if opened:
        connection.execute(insert(assignments), opened)
    return renewed


def _close(connection: Connection, picture_ids: Sequence[int], revision: int) -> None:
    """These pictures have no row from now on."""
    for some in chunks(picture_ids):
        current = assignments.c.picture_id.in_(some) & assignments.c.valid_to.is_(None)
        connection.execute(update(assignments).where(current).values(valid_to=revision))


def _row(picture_id: int, cluster_id: int | None, probability: float, core: bool, revision: int) -> dict[str, object]:
    return {
        "picture_id": picture_id,
        "cluster_id": cluster_id,
        "probability": probability,
        "core": core,
        "valid_from": revision,
        "valid_to": None,
    }


def last_cursor(connection: Connection) -> int:
    """The last picture of which the last round knew; up to it every one has a row."""
    cursor = select(clusterings.c.through_picture).order_by(clusterings.c.id.desc()).limit(1)
    return connection.execute(cursor).scalar() or 0


def _without_row(connection: Connection, after: int, through: int) -> tuple[list[int], int]:
    """Those of the next pictures, up to `through`, that nobody has assigned; and the last one looked at."""
    has_row = and_(assignments.c.picture_id == pictures.c.id, assignments.c.valid_to.is_(None))
    query = select(pictures.c.id, assignments.c.id.label("row")).join(assignments, has_row, isouter=True)
    query = query.where(pictures.c.id > after, pictures.c.id <= through).order_by(pictures.c.id).limit(LOOKED_AT)
    rows = connection.execute(query).all()
    last = rows[-1].id if len(rows) == LOOKED_AT else through
    return [row.id for row in rows if row.row is None], last
