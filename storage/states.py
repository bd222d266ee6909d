"""Small values under a key, written within somebody's transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from storage.schema import state

VOTERS = "voters"
"""Key of what the last round's votes were made of."""

NEAR = "near"
"""Key of which kinds lay nearest to each in the last round, as the agent knows them."""

RECLUSTER = "recluster_requested"
"""Key of the number that the last clustering had when a person wanted another."""

BEYOND = "beyond"
"""Key of whose members beyond the window are still to be asked where they belong (`agent.inquiries`)."""

INGESTING = "ingesting:"
"""Beginning of the keys under which agents that only take pictures in say how they are, before their names."""

SCRUB = "scrub_due"
"""Key of the event since which bytes of forgotten pictures may lie in the database's files; None once they are gone."""


def put(connection: Connection, key: str, value: object, at: datetime) -> None:
    """Keep one JSON value under a key, in place of the one before."""
    known = connection.execute(update(state).where(state.c.key == key).values(value=value, at=at))
    if known.rowcount == 0:
        connection.execute(insert(state).values(key=key, value=value, at=at))


def beginning(connection: Connection, key: str) -> dict[str, object]:
    """Values under keys that begin so, by what follows."""
    rows = connection.execute(select(state.c.key, state.c.value).where(state.c.key.startswith(key, autoescape=True)))
    return {row.key.removeprefix(key): row.value for row in rows}


def read(connection: Connection, key: str) -> object | None:
    """The value kept under a key; None when there is none."""
    value: object = connection.execute(select(state.c.value).where(state.c.key == key)).scalar()
    return value
