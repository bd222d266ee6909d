"""How a verb comes to the store: the read door without touching anything, the write door only where a store exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.answers import Answers
    from storage.queries import Queries
    from storage.store import Store


@contextmanager
def reading(data: Path) -> Iterator[Answers]:
    """The read door of a data directory.

    Raises:
        NotFound: there is no database.
        SchemaError: it is of another age than this program.
    """
    from storage.answers import Answers
    from storage.engine import database_url, open_engine
    from storage.migrate import check_schema

    engine = open_engine(database_url(data), read_only=True)
    try:
        check_schema(engine)
        yield Answers(engine)
    finally:
        engine.dispose()


@contextmanager
def reading_vectors(data: Path) -> Iterator[Queries]:
    """The read door with arrays, for verbs that compare pictures.

    Raises:
        NotFound, SchemaError: as `reading`.
    """
    from storage.engine import database_url, open_engine
    from storage.migrate import check_schema
    from storage.queries import Queries

    engine = open_engine(database_url(data), read_only=True)
    try:
        check_schema(engine)
        yield Queries(engine)
    finally:
        engine.dispose()


@contextmanager
def writing(data: Path) -> Iterator[tuple[Store, Queries]]:
    """Both doors of a data directory that exists already."""
    from storage.engine import database_url, open_engine
    from storage.queries import Queries
    from storage.store import Store

    with reading(data):  # a missing or foreign database is said, not made
        pass
    engine = open_engine(database_url(data))
    try:
        yield Store(engine), Queries(engine)
    finally:
        engine.dispose()
