"""Whether an encoder version that was begun came to its end; for whoever has to begin it again."""

from __future__ import annotations

from storage.queries import Queries

PUBLISHING = "publishing"
"""State key: number of the version that was last begun."""


def publication_was_cut_off(queries: Queries) -> bool:
    """A version was begun, and neither became ready nor is being built: a kill came in between."""
    begun = queries.state(PUBLISHING)
    return isinstance(begun, int) and begun > queries.ready_version() and queries.building_version() is None
