"""PostgreSQL: how connections are opened, what puts writers in order, who is the only agent, what errors mean.

Nothing here depends on how the server is set up: the isolation of transactions and the time zone are said by us.
psycopg is imported by SQLAlchemy, where a URL asks for it. Knows nothing about tables.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import StorageError, StoreLocked, Unreachable

DRIVER = "postgresql+psycopg"
SPELLINGS = ("postgresql", "postgres", DRIVER)
PORT = 5432
CONNECT_S = 10
KEEPALIVE_S = 60
WRITERS_LOCK = 0x7461786F6E
"""Key of the advisory lock of whoever writes: "taxon" in ASCII."""
PULSE = "SELECT txid_current_snapshot()::text"
"""Which transactions have ended: different after each that wrote."""
AGENT_LOCK = WRITERS_LOCK + 1
"""Key of the advisory lock of the agent, held as long as it runs."""

LOCK_NOT_AVAILABLE, READ_ONLY, NOT_ALLOWED = "55P03", "25006", "42501"

HOLDER = text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :high AND l.objid = :low AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def open_server(url: URL, *, read_only: bool, busy_s: float) -> Engine:
    """An engine for a database on a server; no connection is made yet.

    Args:
        read_only: every transaction is one that cannot write.
        busy_s: how long a writer waits for another one.
    """
    ours: dict[str, object] = {
        "application_name": f"taxon, pid {os.getpid()} on {socket.gethostname()}",
        "connect_timeout": CONNECT_S,
        "keepalives_idle": KEEPALIVE_S,
        "client_encoding": "utf8",
    }
    engine = create_engine(
        url.set(drivername=DRIVER),
        pool_pre_ping=True,  # a server may have been restarted since
        connect_args={name: value for name, value in ours.items() if name not in url.query},
    )
    if read_only:
        engine.update_execution_options(postgresql_readonly=True)

    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("taxon_writes", False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(busy_s * 1000)}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")

    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", begin)
    return engine


def _prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
    """Times come back in UTC: in a zone west of it, the first day that Python knows would lie before the first."""
    connection.autocommit = True
    connection.execute("SET timezone TO 'UTC'")
    connection.autocommit = False


def writing_options() -> dict[str, object]:
    """READ COMMITTED, whatever the server's default is: only there does a writer that waited see what it waited for."""
    return {"isolation_level": "READ COMMITTED"}


def reading_options() -> dict[str, object]:
    """Each transaction sees one moment."""
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True, "taxon_writes": False}


def _at_once(engine: Engine) -> Connection:
    """A connection each of whose statements is a transaction of its own."""
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT", taxon_writes=False)


def vacuum(engine: Engine, tables: Sequence[str]) -> None:
    """Give the room of deleted rows free to be written over; a table that somebody holds is left to autovacuum."""
    with _at_once(engine) as connection:
        connection.exec_driver_sql(f"VACUUM (SKIP_LOCKED) {', '.join(tables)}")


def require_unicode(connection: Connection) -> None:
    """Raises StorageError where the database cannot hold every name."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise StorageError(
            f"{place(connection.engine.url)} is encoded in {encoding}; make one with `createdb -E UTF8 -T template0`"
        )


@contextmanager
def sole_agent(engine: Engine) -> Iterator[None]:
    """The database is this process's as long as the context lasts, or until the connection breaks.

    Raises:
        StoreLocked: an agent runs on it, here or on another machine.
    """
    with _at_once(engine) as connection:
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({AGENT_LOCK})").scalar():
            key = {"high": AGENT_LOCK >> 32, "low": AGENT_LOCK & 0xFFFFFFFF}
            holder = connection.execute(HOLDER, key).scalar() or "unknown"
            raise StoreLocked(f"{place(engine.url)} belongs to a running agent ({holder}); stop it, or take another")
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a connection that broke has given it back
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({AGENT_LOCK})")


# -------------------------------------------------------------------------- errors


def place(url: URL) -> str:
    """Where a database is, for messages: no password, nor anything else that only the driver needs."""
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()


def translated(context: ExceptionContext) -> StorageError | None:
    """What a server's error means; None where nothing better can be said than what it says."""
    error = context.original_exception
    if context.engine is None or context.is_pre_ping:  # the pool connects anew by itself
        return None
    where = place(context.engine.url)
    if context.connection is None:
        return Unreachable(f"{where} cannot be opened: {_reason(error)}; {_remedy(str(error))}")
    state = getattr(error, "sqlstate", None)
    if state == LOCK_NOT_AVAILABLE:
        return StoreLocked(f"{where} is locked by another program; close it and try again")
    if state == READ_ONLY:
        return StorageError(f"{where} may not be written: {_reason(error)}; give storage.url of the primary server")
    if state == NOT_ALLOWED:
        return StorageError(f"{where} does not allow that: {_reason(error)}; make the user of storage.url its owner")
    return None


def _reason(error: BaseException) -> str:
    """The driver's first line, from where it begins to differ from case to case."""
    first = str(error).strip().partition("\n")[0].removeprefix("connection failed: ")
    return first.rpartition("FATAL:")[2].strip() or type(error).__name__


def _remedy(message: str) -> str:
    """By the server's words, because nothing else comes with a connection that was refused; they may be translated."""
    if "authentication" in message or "password" in message or "role" in message:
        return "correct user and password in storage.url, or in ~/.pgpass"
    if "database" in message and "does not exist" in message:
        return "make it with `createdb`, or correct storage.url"
    return "start the server, or correct host and port in storage.url"
