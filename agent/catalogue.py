"""What a source may ask and say of the memory, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage.queries import Queries
from storage.store import Store


class StoreCatalogue:
    """`agent.sources.protocol.Catalogue` on the database, which also knows pictures by their content."""

    def __init__(self, store: Store, queries: Queries) -> None:
        self._store = store
        self._queries = queries

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        return self._queries.known(uris)

    def present_uris(self, source: str) -> Iterator[str]:
        return self._queries.present_uris(source)

    def present_below(self, folder: str) -> Iterator[str]:
        return self._queries.present_below(folder)

    def existing(self, shas: Sequence[str]) -> dict[str, int]:
        return self._queries.existing(shas)

    def mark_missing(self, uris: Sequence[str]) -> None:
        self._store.mark_missing(uris)
