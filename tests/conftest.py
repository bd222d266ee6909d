"""A migrated database of its own for each test, and both doors to it; a PostgreSQL server for those that want one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.cores import share_cores
from storage.engine import database_url, open_engine
from storage.migrate import migrate
from storage.queries import Queries
from storage.store import Store
from tests.factories import Clock
from tests.postgres import Server, binaries, running

share_cores()


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated SQLite file; copied, because migrating takes longer than most tests."""
    data = tmp_path_factory.mktemp("blank")
    engine = open_engine(database_url(data))
    migrate(engine)
    engine.dispose()
    return (data / "taxon.db").read_bytes()


@pytest.fixture
def data(tmp_path: Path, blank: bytes) -> Path:
    (tmp_path / "taxon.db").write_bytes(blank)
    return tmp_path


@pytest.fixture
def engine(data: Path) -> Iterator[Engine]:
    engine = open_engine(database_url(data))
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Store:
    store = Store(engine, clock)
    store.ensure_born({"backbone": "small"})
    return store


@pytest.fixture
def queries(engine: Engine) -> Queries:
    return Queries(engine)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server of our own."""
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL server: neither initdb on the PATH nor /usr/lib/postgresql (Debian: postgresql)")
    with running(programs) as server:
        yield server
