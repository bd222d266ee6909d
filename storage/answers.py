"""The read door as people use it: no arrays, so that a reading verb need not wait for numpy."""

from __future__ import annotations

from sqlalchemy import select

from storage import states
from storage.change_queries import ChangeQueries
from storage.kind_queries import KindQueries
from storage.map_queries import MapQueries
from storage.picture_queries import PictureQueries
from storage.schema import pictures, thumbnails

SAID = ("queue", "sources", "heartbeats")


class Answers(KindQueries, PictureQueries, ChangeQueries, MapQueries):
    """What people ask. Args: engine: from `storage.engine.open_engine`."""

    def thumbnail(self, sha256: str) -> bytes | None:
        """The encoded thumbnail of one picture; None when it is not stored."""
        query = select(thumbnails.c.image).join(pictures, pictures.c.id == thumbnails.c.picture_id)
        with self._moment() as connection:
            return connection.execute(query.where(pictures.c.sha256 == sha256)).scalar()

    def state(self, key: str) -> object | None:
        """The value kept under a key; None when there is none."""
        with self._moment() as connection:
            return states.read(connection, key)

    def agent(self, name: str = "") -> dict[str, object]:
        """What an agent last said of itself: `queue`, `sources`, `heartbeats`.

        Args:
            name: of one that only takes pictures in; without one it is the agent that learns.
        """
        said = self.ingesting().get(name) if name else {key: self.state(key) for key in SAID}
        return said if isinstance(said, dict) else {}

    def ingesting(self) -> dict[str, object]:
        """What agents that only take pictures in last said of themselves, by name."""
        with self._moment() as connection:
            return states.beginning(connection, states.INGESTING)
