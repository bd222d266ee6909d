"""Bring a database to this program's schema, or say in one line why it cannot be read.

Alembic is imported by `migrate` only: reading commands pay for `check_schema` alone. It knows nothing about what the
tables hold.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from storage.engine import writing
from storage.errors import SchemaError
from storage.postgresql import require_unicode
from storage.schema import SCHEMA_VERSIONS

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(engine: Engine, scripts: Path = SCRIPTS) -> None:
    """Create or upgrade the schema in one transaction; nothing happens when it is up to date.

    An SQLite file with an older schema is copied first, to `taxon.db.schema-0001` and so on; on a server nothing is.

    Args:
        scripts: folder of the migration scripts.

    Raises:
        SchemaError: the schema is newer than this program.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    with writing(engine).begin() as connection:
        found = schema_version(connection)
        if found == known[-1]:
            return
        if found is not None:
            _require_known(found, known)
            _back_up(engine, found)
        elif engine.dialect.name == "postgresql":
            require_unicode(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(engine: Engine) -> None:
    """Make sure that this program can read the database.

    Raises:
        SchemaError: the schema is missing, older or newer.
    """
    with engine.connect() as connection:
        found = schema_version(connection)
    if found is None:
        raise SchemaError(
            f"{_name(engine)} holds no tables of Taxon yet; start the agent with `run`, or make them with `migrate`"
        )
    _require_known(found, SCHEMA_VERSIONS)
    if found != SCHEMA_VERSIONS[-1]:
        raise SchemaError(f"{_name(engine)} has the older schema {found}; upgrade it with `migrate`")


def schema_version(connection: Connection) -> str | None:
    """The schema that the database has; None when it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _require_known(found: str, known: tuple[str, ...] | list[str]) -> None:
    if found not in known:
        raise SchemaError(
            f"the database has schema {found}, which is newer than this program's {known[-1]}; upgrade the program"
        )


def _back_up(engine: Engine, found: str) -> None:
    """Copy an SQLite file through SQLite itself, so that what still lies in the WAL is copied too."""
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    target = sqlite3.connect(f"{engine.url.database}.schema-{found}")
    source = sqlite3.connect(engine.url.database)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _name(engine: Engine) -> str:
    return engine.url.database or str(engine.url)
