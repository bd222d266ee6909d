"""Whether an encoder version that was begun came to its end; for whoever has to begin it again."""

from __future__ import annotations

from storage.queries import Queries

PUBLISHING = "publishing"
"""State key: number of the version that was last begun."""

UNPUBLISHED = "unpublished"
"""State key: the newest checkpoint of the learner knows more than the version that was last begun."""


def publication_was_cut_off(queries: Queries) -> bool:
    """A version was begun, and neither became ready nor is being built: a kill came in between."""
    begun = queries.state(PUBLISHING)
    return isinstance(begun, int) and begun > queries.ready_version() and queries.building_version() is None


def publication_waits(queries: Queries) -> bool:
    """What was learned before the last stop is in no version that is ready or being built."""
    return queries.state(UNPUBLISHED) is True or publication_was_cut_off(queries)
