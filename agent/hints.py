"""What the agent knows of pictures that a person shows: the kind that they would fall in, and what lies close to them.

Between storage and what the last round kept. Where there is nothing to say, there is no hint. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.looking import stored_subject, voters_of
from agent.reasons import Reasons
from agent.review import open_piles
from storage.errors import NotFound
from storage.queries import Queries
from storage.teaching import Hints


def hints_for(queries: Queries, ids: Sequence[int]) -> Hints:
    """For pictures that wait for their first round, the kind that their neighbours vote for; for those in none, the
    pile that they lie in. A picture that the round did not look at lies where its nearest neighbour does."""
    try:
        voters, _ = voters_of(queries)
    except NotFound:
        return Hints()
    piles = {int(i): [int(j) for j in pile] for pile in open_piles(queries, voters, set()) for i in pile}
    votes: dict[int, int] = {}
    around = {i: piles[i] for i in ids if i in piles}
    rows = queries.by_id([i for i in ids if i not in piles])
    try:
        reasons = Reasons(queries) if any(row.cluster_id is None for row in rows.values()) else None
    except NotFound:  # the vectors of the round are gone; the next one has others
        reasons = None
    for picture_id, row in rows.items():
        if reasons is None or row.cluster_id is not None:
            continue
        found = reasons.explain(stored_subject(queries, picture_id))
        if found.said.cluster_id is not None:
            votes[picture_id] = found.said.cluster_id
        elif found.voters and not found.outside:
            nearest = queries.existing([found.voters[0].sha256])
            around[picture_id] = [j for i in nearest.values() for j in piles.get(i, ())]
    return Hints(votes, around)
