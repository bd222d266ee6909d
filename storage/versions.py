"""Encoder versions: how one begins, becomes the ready one, or is given up.

Functions on an open write transaction, but for `delete_vectors`, which takes several short ones. Version 1 is the
network as it was born: it has no learned vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from storage import counters, journal
from storage.chunks import PARAMETERS, chunks
from storage.errors import NotFound, StorageError
from storage.records import Event, EventType, Vectors, VersionState
from storage.schema import embeddings, encoder_versions, pictures
from storage.vectors import to_bytes

BORN = 1
PIECE = 2_000
"""Vectors deleted in one transaction."""


def ensure_born(connection: Connection, config: Mapping[str, object], at: datetime) -> int:
    """Version 1, ready; made when it is missing, else left as it is."""
    if connection.execute(select(func.count()).select_from(encoder_versions)).scalar_one() == 0:
        born = {"version": BORN, "state": VersionState.READY, "checkpoint": "", "config": dict(config)}
        connection.execute(insert(encoder_versions).values(**born, created_at=at, published_at=at))
    return BORN


def begin(connection: Connection, checkpoint: str, config: Mapping[str, object], at: datetime) -> int:
    """A new version in state `building`."""
    building = _in_state(connection, VersionState.BUILDING)
    if building:
        raise StorageError(f"encoder version {building[0]} is still being built; publish or abandon it first")
    version = counters.take(connection, "next_version")
    connection.execute(
        insert(encoder_versions).values(
            version=version, state=VersionState.BUILDING, checkpoint=checkpoint, config=dict(config), created_at=at
        )
    )
    return version


def add_vectors(connection: Connection, version: int, ids: Sequence[int], learned_ND: Vectors) -> None:
    """Vectors (N, D) of pictures under a version; those that are stored already, or forgotten, are left out."""
    state = _state(connection, version)
    if state == VersionState.RETIRED or version == BORN:
        raise StorageError(
            f"encoder version {version} takes no vectors: it is {'innate' if version == BORN else state}"
        )
    vectors = dict(zip(map(int, ids), learned_ND, strict=True))
    for some in chunks(list(vectors)):
        exist = set(connection.execute(select(pictures.c.id).where(pictures.c.id.in_(some))).scalars())
        have = select(embeddings.c.picture_id).where(embeddings.c.version == version, embeddings.c.picture_id.in_(some))
        fresh = sorted(exist - set(connection.execute(have).scalars()))
        if fresh:
            connection.execute(
                insert(embeddings),
                [{"version": version, "picture_id": i, "vector": to_bytes(np.asarray(vectors[i]))} for i in fresh],
            )


def publish(connection: Connection, version: int, at: datetime) -> None:
    """`building` becomes `ready`, the ready one `retired`, and an event says so."""
    state = _state(connection, version)
    if state != VersionState.BUILDING:
        raise StorageError(f"encoder version {version} cannot be published: it is {state}, not building")
    before = _in_state(connection, VersionState.READY)
    retired = update(encoder_versions).where(encoder_versions.c.state == VersionState.READY)
    connection.execute(retired.values(state=VersionState.RETIRED, retired_at=at))
    ready = update(encoder_versions).where(encoder_versions.c.version == version)
    connection.execute(ready.values(state=VersionState.READY, published_at=at))
    told = Event(EventType.ENCODER_PUBLISHED, detail={"version": version, "retired": before})
    journal.append(connection, [told], at, encoder_version=version)


def require_building(connection: Connection, version: int) -> None:
    """Raises StorageError unless the version is being built."""
    state = _state(connection, version)
    if state != VersionState.BUILDING:
        raise StorageError(f"encoder version {version} cannot be abandoned: it is {state}, not building")


def require(connection: Connection, version: int) -> None:
    """Raises NotFound when there is no such version."""
    _state(connection, version)


def remove(connection: Connection, version: int) -> None:
    """The row of a version that never was published; its number is not given again."""
    connection.execute(delete(encoder_versions).where(encoder_versions.c.version == version))


def retired_with_vectors(connection: Connection) -> list[int]:
    """Retired versions whose vectors are not all deleted yet."""
    has_vectors = select(embeddings.c.version).where(embeddings.c.version == encoder_versions.c.version).exists()
    retired = select(encoder_versions.c.version).where(encoder_versions.c.state == VersionState.RETIRED, has_vectors)
    return list(connection.execute(retired).scalars())


def delete_vectors(engine: Engine, version: int) -> None:
    """Delete a version's vectors, a short transaction a piece. Places on the map stay until others take their place."""
    some = select(embeddings.c.picture_id).where(embeddings.c.version == version).limit(PIECE)
    while True:
        with engine.begin() as connection:
            ids = list(connection.execute(some).scalars())
            for few in chunks(ids, PARAMETERS):
                these = embeddings.c.picture_id.in_(few)
                connection.execute(delete(embeddings).where(embeddings.c.version == version, these))
            if not ids:
                return


def _state(connection: Connection, version: int) -> str:
    state = connection.execute(select(encoder_versions.c.state).where(encoder_versions.c.version == version)).scalar()
    if state is None:
        raise NotFound(f"there is no encoder version {version}")
    return str(state)


def _in_state(connection: Connection, state: VersionState) -> list[int]:
    return list(
        connection.execute(select(encoder_versions.c.version).where(encoder_versions.c.state == state)).scalars()
    )
