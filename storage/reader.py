"""What all reading has in common: one transaction a question, which sees one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from storage.engine import reading


class Reader:
    """Args: engine: from `storage.engine.open_engine`; read-only or not, shared with a `Store` or not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = reading(engine)

    @contextmanager
    def _moment(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            yield connection
