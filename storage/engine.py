"""Connections: how the database is opened, who waits for whom, and what its errors mean.

Only this file and `storage.postgresql` speak a database's own dialect. They know nothing about tables.

SQLite runs in WAL mode: readers never wait. Writers begin with `BEGIN IMMEDIATE`, because a deferred transaction that
reads before it writes fails at once, whatever the busy timeout, when another process has written in between.
On PostgreSQL an advisory lock gives writers the same order, so that ids are monotone in the order of commits.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from storage import postgresql
from storage.errors import NotFound, StorageError, StoreLocked
from storage.lock import DatabaseLock
from storage.redaction import redacted

BUSY_S = 30.0
SCRUB_WAIT_S = 1.0
"""So long one who scrubs waits for readers; whoever writes waits for it meanwhile."""
WAL_LIMIT_BYTES = 64 * 2**20
CACHE_KIB = 32_768
KNOWN = "use sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE"


def default_url(data: Path) -> str:
    """URL of the database of a data directory where `storage.url` names no other: its `taxon.db`."""
    return URL.create("sqlite", database=str(data / "taxon.db")).render_as_string()


def database_url(data: Path) -> str:
    """URL of the database of a data directory: `storage.url` in its `taxon.yaml` if set, else its `taxon.db`.

    Raises:
        StorageError: `taxon.yaml` cannot be read.
    """
    return _configured_url(data / "taxon.yaml") or default_url(data)


def is_on_server(url: str) -> bool:
    """Whether machines can share the database."""
    return url.startswith(tuple(f"{spelling}://" for spelling in postgresql.SPELLINGS))


def require_same_database(url: str, data: Path) -> None:
    """A data directory belongs to the database that it was begun with: its checkpoints count that one's pictures.

    Who connects, and how, may change.

    Raises:
        StorageError: it was begun with another one.
    """
    begun = any((data / name).is_file() for name in ("taxon.yaml", "taxon.db"))
    before = database_url(data)
    if begun and _address(before) != _address(url):
        raise StorageError(
            f"{data} was begun with the database {redacted(before)}, not {redacted(url)}; set storage.url to it, give"
            f" another --data, or, if that database has moved, say so in {data / 'taxon.yaml'}"
        )


def _address(url: str) -> tuple[object, ...]:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # which `open_engine` will say
        return (url,)
    if parsed.get_backend_name() == "sqlite":
        return (os.path.abspath(parsed.database or ""),)
    return parsed.host, parsed.port or postgresql.PORT, parsed.database


def ingesting_as(data: Path) -> str:
    """The name under which the agent of a data directory only takes pictures in; empty for one that learns.

    Raises:
        StorageError: `taxon.yaml` cannot be read.
    """
    return str(_effective(data / "taxon.yaml").get("ingest_as") or "")


def _configured_url(path: Path) -> str:
    section = _effective(path).get("storage")
    return str(section.get("url") or "") if isinstance(section, dict) else ""


def _effective(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    import yaml

    try:
        effective = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StorageError(
            f"{path} cannot be read ({_first_line(error)}); mend it, or remove it to use taxon.db"
        ) from error
    return effective if isinstance(effective, dict) else {}


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """An engine for `url`; nothing is created or migrated.

    Args:
        url: SQLAlchemy URL; `postgresql://` means psycopg.
        read_only: never write, not even to make the database; works while a writer writes and when nobody has it open.

    Raises:
        NotFound: `read_only`, and there is no such SQLite file.
        StorageError: the URL is not understood, or its driver is not installed.
    """
    try:
        engine = _opened(make_url(url), read_only)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise StorageError(f"storage.url {redacted(url)!r} is not a database URL; {KNOWN}") from error
    except ImportError as error:
        raise StorageError(
            f"storage.url {redacted(url)!r} needs psycopg; install it with `pip install 'psycopg[binary]'`"
        ) from error
    event.listen(engine, "handle_error", _translate)
    return engine


def _opened(url: URL, read_only: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url, read_only)
    if url.drivername in postgresql.SPELLINGS:
        return postgresql.open_server(url, read_only=read_only, busy_s=BUSY_S)
    raise StorageError(f"storage.url {redacted(str(url))!r} is of a kind that was never tried; {KNOWN}")


def writing(engine: Engine) -> Engine:
    """The same engine, whose transactions wait for other writers when they begin."""
    options = {} if engine.dialect.name == "sqlite" else postgresql.writing_options()
    return engine.execution_options(taxon_writes=True, **options)


def reading(engine: Engine) -> Engine:
    """The same engine, each of whose transactions sees one moment."""
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(**postgresql.reading_options())


def sole_agent(engine: Engine, name: str = "") -> AbstractContextManager[Callable[[], None]]:
    """The database is this agent's as long as the context lasts.

    Args:
        name: of an agent that only takes pictures in, beside the one that learns; there is one of each name.

    Returns:
        Gives, on entering, what makes sure that it still is: it raises Superseded when another agent has taken it over.

    Raises:
        StoreLocked: on entering, when another agent has it.
    """
    if engine.dialect.name == "sqlite":
        return _sole_agent_of(Path(str(engine.url.database)))
    return postgresql.sole_agent(engine, name)


@contextmanager
def _sole_agent_of(database: Path) -> Iterator[Callable[[], None]]:
    with DatabaseLock(database):
        yield lambda: None  # a lock of the kernel's does not break


def pulse(connection: Connection) -> object:
    """Something that is different when anybody has written through another connection since, and costs next to nothing.

    It may be different when nobody has. On SQLite it means something for one connection only.
    """
    question = "PRAGMA data_version" if connection.dialect.name == "sqlite" else postgresql.PULSE
    try:
        return connection.exec_driver_sql(question).scalar_one()
    finally:
        connection.rollback()  # within one transaction nothing ever changes


def scrub(engine: Engine, tables: Sequence[str]) -> bool:
    """Leave of rows that were deleted from these tables what the database lets us leave: little, or nothing.

    SQLite has written over them, and its journal is emptied here. PostgreSQL keeps them in its files until their room
    is needed, and in its log until that is recycled.

    Returns:
        False where somebody reads SQLite's journal, so that it could not be emptied.
    """
    if engine.dialect.name == "sqlite":
        return _empty_journal(engine)
    postgresql.vacuum(engine, tables)
    return True


# -------------------------------------------------------------------------- SQLite


def _open_sqlite(url: URL, read_only: bool) -> Engine:
    path = Path(url.database) if url.database and url.database != ":memory:" else None
    if read_only and (path is None or not path.is_file()):
        raise NotFound(f"there is no database at {path or url}; start the agent with `run`, or give another --data")
    if read_only and path is not None:
        engine = create_engine(url, creator=lambda: _connect_read_only(path))
    else:
        engine = create_engine(url, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _prepare_reader if read_only else _prepare_writer)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _connect_read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(read_only_uri(path), uri=True, timeout=BUSY_S, check_same_thread=False)


def read_only_uri(path: Path) -> str:
    """URI that opens `path` for reading only.

    A reader needs the `-shm` file, and makes it when it is missing. Where the folder cannot be written (a read-only
    mount, someone else's directory) and no writer has left anything in a `-wal` file, the file is taken as immutable.
    """
    wal = path.with_name(path.name + "-wal")
    idle = not wal.exists() or wal.stat().st_size == 0
    immutable = idle and not os.access(path.parent, os.W_OK)
    return f"file:{quote(str(path.absolute()))}?mode=ro" + ("&immutable=1" if immutable else "")


def _prepare_reader(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def _prepare_writer(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
    _prepare_reader(connection, entry)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what people have had forgotten is not left in free pages
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")


def _empty_journal(engine: Engine) -> bool:
    with engine.connect() as connection:
        driver = connection.connection  # not within a transaction
        driver.execute(f"PRAGMA busy_timeout = {round(SCRUB_WAIT_S * 1000)}")
        try:
            busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            driver.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
    return not busy


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("taxon_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


# -------------------------------------------------------------------------- errors


def _translate(context: ExceptionContext) -> None:
    """Raise in place of a driver's error one that names the remedy.

    A full disk stays an `OperationalError`: whoever writes may wait and try again.
    """
    if isinstance(context.original_exception, sqlite3.Error):
        told = _told_by_sqlite(context)
    else:
        told = postgresql.translated(context)
    if told is not None:
        raise told


def _told_by_sqlite(context: ExceptionContext) -> StorageError | None:
    message = str(context.original_exception).lower()
    where = context.engine.url.database if context.engine is not None else "the database"
    if "locked" in message or "busy" in message:
        return StoreLocked(f"{where} is locked by another program; close it and try again")
    if "unable to open" in message:
        return StorageError(f"{where} cannot be opened; check that its folder exists and may be written")
    if "readonly" in message:
        return StorageError(f"{where} may not be written; check its permissions")
    if "not a database" in message or "malformed" in message:
        return StorageError(f"{where} is damaged or not a database; put a backup in its place with `restore`")
    return None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
