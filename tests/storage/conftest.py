"""Each test of the storage runs on SQLite and on a PostgreSQL server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage.engine import database_url, open_engine

Fresh = Callable[[], AbstractContextManager[str]]


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def fresh(backend: str, request: pytest.FixtureRequest) -> Fresh:
    """Makes migrated databases, another one at each call, for as long as the context lasts; gives their URL."""
    if backend == "postgresql":
        lend: Fresh = request.getfixturevalue("server").lend
        return lend
    blank: bytes = request.getfixturevalue("blank")

    @contextmanager
    def new_file() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "taxon.db").write_bytes(blank)
            yield database_url(Path(folder))

    return new_file


@pytest.fixture
def url(backend: str, fresh: Fresh, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a migrated database; on SQLite, of that in `data`."""
    if backend == "sqlite":
        yield database_url(request.getfixturevalue("data"))
        return
    with fresh() as address:
        yield address


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()
