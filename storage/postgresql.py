"""PostgreSQL: how connections are opened, what puts writers in order, who is the only agent, what errors mean.

Nothing here depends on how the server is set up: the isolation of transactions and the time zone are said by us.
psycopg is imported by SQLAlchemy, where a URL asks for it. Knows nothing about tables.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from storage.errors import StorageError, StoreLocked, Superseded, Unreachable

DRIVER = "postgresql+psycopg"
SPELLINGS = ("postgresql", "postgres", DRIVER)
PORT = 5432
CONNECT_S = 10
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A peer that has vanished is noticed within a minute, by both ends: what it holds would hold up others for hours."""
IDLE_S = 60
"""A writer that falls silent within a transaction, as one that was suspended does, loses it after so long."""
NAME_LENGTH = 63
"""So many bytes of a session's name are kept by the server."""
WRITERS_LOCK = 0x7461786F6E
"""Key of the advisory lock of whoever writes: "taxon" in ASCII."""
PULSE = "SELECT txid_current_snapshot()::text"
"""Which transactions have ended: different after each that wrote."""
AGENT_LOCK = WRITERS_LOCK + 1
"""Key of the advisory lock of the agent, held as long as it runs; those of agents with names follow."""

BROKEN = (SQLAlchemyError, StorageError)
"""What anything fails with on a connection that is gone."""
LOCK_NOT_AVAILABLE, READ_ONLY, NOT_ALLOWED, FELL_SILENT = "55P03", "25006", "42501", "25P03"

HOLDER = text(
    "SELECT a.application_name AS name, a.pid = pg_backend_pid() AS ours"
    " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
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
        "application_name": _session_name(),
        "connect_timeout": CONNECT_S,
        "client_encoding": "utf8",
        **KEEPALIVES,
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
            connection.exec_driver_sql(
                f"SELECT set_config('lock_timeout', '{round(busy_s * 1000)}', true),"
                f" set_config('idle_in_transaction_session_timeout', '{round(IDLE_S * 1000)}', true)"
            )
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")

    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", begin)
    return engine


def _session_name() -> str:
    return f"taxon, pid {os.getpid()} on {socket.gethostname()}"


def _prepare(connection: Any, entry: ConnectionPoolEntry) -> None:
    """Times come back in UTC: in a zone west of it, the first day that Python knows would lie before the first."""
    connection.autocommit = True
    connection.execute("SET timezone TO 'UTC'")
    for name, value in KEEPALIVES.items():
        connection.execute(f"SET tcp_{name} TO {value}")
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
def sole_agent(engine: Engine, name: str = "") -> Iterator[Callable[[], None]]:
    """The database is this process's as long as the context lasts, or the name, of those that only take pictures in.

    Yields:
        To be called every now and then: it takes the lock again where the connection broke, with which it ends.
            It raises Superseded when another agent has it by then.

    Raises:
        StoreLocked: an agent runs on it, here or on another machine.
    """
    claim = _Claim(engine, name)
    claim.take()
    try:
        yield claim.keep
    finally:
        claim.close()


class _Claim:
    """An advisory lock of a session of its own."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._key = AGENT_LOCK + (1 + zlib.crc32(name.encode()) if name else 0)
        self._what = f"{place(engine.url)} as {name!r}" if name else place(engine.url)
        self._remedy = "stop it, or take another" if name else "stop it, take another, or set ingest_as to work for it"
        self._connection: Connection | None = None

    def take(self) -> None:
        self._connection = _at_once(self._engine)
        if not self._connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({self._key})").scalar():
            holder, _ = self._holder(self._connection)
            self.close()
            told = f"{self._what} belongs to a running agent ({holder}); {self._remedy}"
            raise _HeldBy(told, holder)

    def keep(self) -> None:
        with suppress(*BROKEN):
            if self._connection is not None and self._holder(self._connection)[1]:
                return
        self.close()
        try:
            self.take()
        except _HeldBy as error:
            if error.holder == _session_name()[:NAME_LENGTH]:  # our own old session, whose end the server will notice
                raise
            raise Superseded(f"{error}; this agent was cut off from it, and ends") from None

    def _holder(self, connection: Connection) -> tuple[str, bool]:
        """The name of the session that has it, and whether that is this one."""
        key = {"high": self._key >> 32, "low": self._key & 0xFFFFFFFF}
        row = connection.execute(HOLDER, key).first()
        return (row.name, row.ours) if row else ("unknown", False)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(*BROKEN):  # and has given it back
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({self._key})")
        connection.close()


class _HeldBy(StoreLocked):
    """Another session has the lock; `holder` is its name."""

    def __init__(self, told: str, holder: str) -> None:
        super().__init__(told)
        self.holder = holder


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
    if state == FELL_SILENT:
        return StoreLocked(f"{where} has ended a transaction that was silent for {IDLE_S} s; try again")
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
