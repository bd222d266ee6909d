"""What a source may ask and say of the memory, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.uri import here, on_machine
from storage.queries import Queries
from storage.store import Store


class StoreCatalogue:
    """`agent.sources.protocol.Catalogue` on the database, which also knows pictures by their content.

    Args:
        machine: whose files these are, where the database holds those of several (`agent.uri.on_machine`).
    """

    def __init__(self, store: Store, queries: Queries, machine: str = "") -> None:
        self._store = store
        self._queries = queries
        self._machine = machine

    def known(self, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
        found = self._queries.known([on_machine(self._machine, uri) for uri in uris])
        return {here(self._machine, uri): stat for uri, stat in found.items()}

    def present_uris(self, source: str) -> Iterator[str]:
        return self._here(self._queries.present_uris(on_machine(self._machine, source)))

    def present_below(self, folder: str) -> Iterator[str]:
        return self._here(self._queries.present_below(on_machine(self._machine, folder)))

    def _here(self, uris: Iterator[str]) -> Iterator[str]:
        return (here(self._machine, uri) for uri in uris)

    def existing(self, shas: Sequence[str]) -> dict[str, int]:
        return self._queries.existing(shas)

    def mark_missing(self, uris: Sequence[str]) -> None:
        self._store.mark_missing([on_machine(self._machine, uri) for uri in uris])
