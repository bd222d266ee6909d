"""What becomes of pictures beyond the window when a round changes their kind.

They keep what was said of them; but a kind that was absorbed takes them along, and where one split or disappeared their
nearest neighbours in the window are asked again, in the innate embedding, since that is the one that every picture has.

A round asks as many as a piece has; the others follow piece by piece after it, each with its own revision, in which
what is still to be asked (`agent.inquiries`) changes too: a kind of half a million members holds up neither rounds nor
arrivals, and a restart goes on where the last piece ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from agent.calibration import stated
from agent.graph import nearest
from agent.inquiries import Inquiry, as_values, of_values, still_there
from agent.observed import Embedded
from agent.partition import NONE
from agent.propagation import Labels
from agent.space import Points, Space, fit_space
from storage.errors import Outdated
from storage.overrule import overrule, rows_of
from storage.queries import Queries
from storage.records import Assignments
from storage.states import BEYOND
from storage.store import Store

# Pictures of the window that are asked, neighbours that vote, axes in which those are near, and members at a time.
ASKED = 8_192
NEIGHBOURS = 15
DIMS = 64
PIECE = 4_096


class Beyond:
    """Asks members beyond the window, a piece at a time.

    Args:
        assign: share of the votes below which a picture belongs nowhere.

    Attributes:
        pending: whose members are still to be asked.
    """

    def __init__(self, store: Store, queries: Queries, assign: float) -> None:
        self._store = store
        self._queries = queries
        self._assign = assign
        self._electorate: Electorate | None = None
        self._living: set[int] = set()
        self.pending = of_values(queries.state(BEYOND))

    def begin(self, pending: Sequence[Inquiry]) -> None:
        """A round has changed who is to be asked, and the window."""
        self.pending, self._electorate = tuple(pending), None

    def step(self) -> bool:
        """The next piece; False when everyone has been asked."""
        if not self.pending:
            return False
        base = self._queries.revision()
        first, *others = self._still_there()
        if self._electorate is None:
            self._electorate = Electorate(self._queries.said(self._queries.window()), first.parts, self._queries)
        said, left, _ = piece(first, self._electorate, self._queries, self._assign, PIECE)
        pending = (*left, *others)
        wanted, decided_N = overrule(said, self._queries.facts())
        try:
            self._store.revise(wanted, base=base, overruled=rows_of(said, decided_N), kept=as_values(pending))
        except Outdated:
            return True
        self.pending = pending
        if not left:
            self._electorate = None
        return True

    def _still_there(self) -> tuple[Inquiry, ...]:
        """Who is to be asked, for kinds that live by now; when these change, others are asked for their votes."""
        living = {record.id for record in self._queries.living_clusters()}
        if living != self._living:
            self._living, self._electorate = living, None
        return still_there(self.pending, living)


def with_beyond(
    inside: Assignments, pending: Sequence[Inquiry], queries: Queries, assign: float
) -> tuple[Assignments, tuple[Inquiry, ...]]:
    """What is said of the window, and anew of a first piece of those beyond it; and what is left to ask.

    Args:
        inside: what is said of the window, and of what came since the last round.
    """
    parts, room, waiting = [inside], PIECE, list(pending)
    while waiting and room > 0:
        first = waiting.pop(0)
        said, left, looked_at = piece(first, Electorate(inside, first.parts, queries), queries, assign, room)
        parts.append(said)
        room -= looked_at
        waiting[:0] = left
    return joined(*parts), tuple(waiting)


def piece(
    inquiry: Inquiry, electorate: Electorate, queries: Queries, assign: float, most: int
) -> tuple[Assignments, tuple[Inquiry, ...], int]:
    """What is said of up to so many members from now on, what is left of the inquiry, and how many were looked at."""
    members = queries.said_members([inquiry.kind], after=inquiry.after, through=inquiry.through, most=most)
    count = len(members.picture_N)
    left = () if count < most else (replace(inquiry, after=int(members.picture_N[-1])),)
    outside = rows_of(members, ~np.isin(members.picture_N, electorate.inside_N))
    return electorate.said_of(outside, assign), left, count


class Electorate:
    """The pictures of the window that are asked: those of the parts of a kind, or everyone, who belongs nowhere too.

    Args:
        inside: what is said of the window.
        parts: as in an inquiry.
    """

    def __init__(self, inside: Assignments, parts: tuple[int, ...], queries: Queries) -> None:
        self.inside_N = inside.picture_N
        self._parts = parts
        self._queries = queries
        asked = rows_of(inside, np.isin(inside.cluster_N, parts)) if parts else inside
        self._asked = rows_of(asked, np.arange(0, len(asked.picture_N), max(1, -(-len(asked.picture_N) // ASKED))))

    def said_of(self, members: Assignments, assign: float) -> Assignments:
        """Each where most of its nearest neighbours are, or nowhere; where there is one part, all are in that."""
        count = len(members.picture_N)
        if len(self._parts) == 1:
            return replace(members, cluster_N=np.full(count, self._parts[0], dtype=np.int64))
        cluster_M, share_M = np.full(count, NONE, dtype=np.int64), np.zeros(count, dtype=np.float32)
        if count and len(self._asked.picture_N):
            cluster_M, share_M = self._elected(members.picture_N)
        nowhere_M = (cluster_M == NONE) | (share_M < assign)
        cluster_M[nowhere_M], share_M[nowhere_M] = NONE, 0
        return Assignments(members.picture_N, cluster_M, stated(share_M), np.zeros(count, dtype=np.bool_))

    def _elected(self, ids_M: NDArray[np.int64]) -> tuple[Labels, Points]:
        """The kind (M,) for which most of the neighbours of each vote, and their share."""
        space, points_VP, kinds_K, number_V = self._voters
        votes_MK = np.zeros((len(ids_M), len(kinds_K)), dtype=np.float32)
        known = Embedded(*self._queries.innate(ids_M), None).finite()
        row_MN, _ = nearest(points_VP, space.project(known.innate_ND, None), NEIGHBOURS)
        of_kind_MK = (number_V[row_MN][:, :, None] == np.arange(len(kinds_K))).mean(axis=1)
        votes_MK[np.searchsorted(ids_M, known.ids_N)] = of_kind_MK
        return kinds_K[votes_MK.argmax(axis=1)], votes_MK.max(axis=1)

    @cached_property
    def _voters(self) -> tuple[Space, Points, Labels, Labels]:
        """Their space and places in it (V, P), the kinds that they are of (K,), and which of these each is of (V,)."""
        known = Embedded(*self._queries.innate(self._asked.picture_N), None).finite()
        cluster_V = self._asked.cluster_N[np.isin(self._asked.picture_N, known.ids_N)]
        kinds_K, number_V = np.unique(cluster_V, return_inverse=True)
        space = fit_space(known.innate_ND, None, DIMS)
        return space, space.project(known.innate_ND, None), kinds_K, number_V


def joined(*parts: Assignments) -> Assignments:
    """All, one after the other."""
    return Assignments(
        np.concatenate([part.picture_N for part in parts]),
        np.concatenate([part.cluster_N for part in parts]),
        np.concatenate([part.probability_N for part in parts]),
        np.concatenate([part.core_N for part in parts]),
    )
