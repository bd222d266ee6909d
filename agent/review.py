"""The pictures most worth a person's look: those of which the agent is least certain, then what belongs nowhere.

Between storage and what the last round kept (`agent.voters`); of pictures that it did not look at, what they were voted
into, and how surely, is in storage. Near copies are shown once, by the one that stands for
them; what people have placed or hidden is not shown. Imports no torch, and reads no vectors but of the piles it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.looking import voters_of
from agent.space import Points
from agent.voters import Rows, Voters, by_kind
from storage.queries import Queries
from storage.rows import PictureRow

UNCERTAIN, UNASSIGNED = "uncertain", "unassigned"
# A winner that is ahead by more is not in doubt.
DOUBTFUL = 0.5
# Pictures of a pile by which its middle is found, and how many of the others are named.
LOOKED_AT = 256
NAMED = 8


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A picture worth a look.

    Attributes:
        reason: `uncertain`, of a picture that has a kind; `unassigned`, of the middle of a pile that has none.
        runner_up: the kind that came second, or first where the picture stayed in the kind that it had; None where
            there is none.
        margin: by how much its kind is ahead, below 0 where it stayed; at least so much, where a vote of which no
            more than the winner is kept put it there; None for a pile.
        pile: how many pictures lie close together; 1 for a picture with a kind.
        others: content hashes of some others of the pile.
    """

    reason: str
    sha256: str
    cluster_id: int | None
    cluster_name: str
    probability: float | None
    runner_up: int | None
    runner_up_name: str
    margin: float | None
    pile: int
    others: tuple[str, ...]
    uri: str


def review(queries: Queries, limit: int | None) -> list[ReviewRow]:
    """At most `limit` uncertain pictures, most uncertain first, then at most as many piles, biggest first.

    Raises:
        NotFound: there was no round yet.
    """
    voters, _ = voters_of(queries)
    decided = queries.decided()
    uncertain = [*_uncertain(queries, voters, decided, limit), *_voted(queries, voters, limit)]
    uncertain.sort(key=lambda row: row.margin or 0.0)
    return uncertain[:limit] + _unassigned(queries, voters, decided, limit)


# -------------------------------------------------------------------------- uncertain


def _uncertain(queries: Queries, voters: Voters, decided: set[int], limit: int | None) -> list[ReviewRow]:
    seen_K = queries.seen_as(voters.kinds_K.tolist())
    kinds_K, share_RK = by_kind(voters.share_RK, seen_K.__getitem__)
    if len(kinds_K) == 0:
        return []
    two_RK = -np.sort(-share_RK, axis=1)[:, :2]
    doubtful_M = np.flatnonzero(~voters.core_R & (two_RK[:, 0] - two_RK[:, 1:].sum(axis=1) < DOUBTFUL))
    ids_M = voters.ids_N[voters.row_R[doubtful_M]]
    names, rows = queries.names(), queries.by_id([i for i in ids_M.tolist() if i not in decided])
    hidden = queries.hidden()
    column_of = {kind: column for column, kind in enumerate(kinds_K.tolist()) if kind not in hidden}
    found: list[tuple[float, ReviewRow]] = []
    for number, picture_id in zip(doubtful_M.tolist(), ids_M.tolist(), strict=True):
        row = rows.get(picture_id)
        own = None if row is None or row.cluster_id is None else column_of.get(row.cluster_id)
        if row is None or own is None:
            continue  # forgotten or placed by people, unassigned, hidden, or of a kind that the round did not find
        rival, margin = _ahead(share_RK[number], own)
        runner_up = None if rival is None else int(kinds_K[rival])
        found.append((float(share_RK[number].max()), _doubt(row, runner_up, names, margin)))
    found.sort(key=lambda one: (one[1].margin, one[0]))
    return [row for _, row in found[:limit]]


def _ahead(share_K: Points, own: int) -> tuple[int | None, float]:
    """The strongest other kind, None where no other has votes, and by how much a picture's kind is ahead of it."""
    others_K = share_K.copy()
    others_K[own] = 0
    rival = int(others_K.argmax())
    return rival if others_K[rival] > 0 else None, float(share_K[own] - others_K[rival])


def _doubt(row: PictureRow, runner_up: int | None, names: dict[int, str], margin: float) -> ReviewRow:
    return ReviewRow(
        reason=UNCERTAIN,
        sha256=row.sha256,
        cluster_id=row.cluster_id,
        cluster_name=row.cluster_name,
        probability=row.probability,
        runner_up=runner_up,
        runner_up_name="" if runner_up is None else names.get(runner_up, ""),
        margin=margin,
        pile=1,
        others=(),
        uri=row.uri,
    )


def _voted(queries: Queries, voters: Voters, limit: int | None) -> list[ReviewRow]:
    """Pictures that the round did not look at; at worst, all votes that the winner lacks went to one other kind."""
    beyond = [i for i in queries.unsure_beyond((1 + DOUBTFUL) / 2, limit) if voters.observation(i) is None][:limit]
    rows = queries.by_id(beyond)
    sure = [(rows[i], rows[i].probability or 0.0) for i in beyond if i in rows]
    return [_doubt(row, None, {}, max(0.0, 2 * probability - 1)) for row, probability in sure]


# -------------------------------------------------------------------------- unassigned


def open_piles(queries: Queries, voters: Voters, decided: set[int]) -> list[Rows]:
    """Ids of the pictures of each pile that still belong nowhere and that nobody has placed; biggest first."""
    in_pile_N = voters.pile_N >= 0
    ids_M, pile_M = voters.ids_N[in_pile_N], voters.pile_N[in_pile_N]
    open_ids = [i for i in queries.unassigned_of(ids_M.tolist()) if i not in decided]
    open_M = np.isin(ids_M, np.array(open_ids, dtype=np.int64))
    ids_M, pile_M = ids_M[open_M], pile_M[open_M]
    found = [ids_M[pile_M == pile] for pile in np.unique(pile_M)]
    return sorted(found, key=lambda ids: (-len(ids), int(ids[0])))


def _unassigned(queries: Queries, voters: Voters, decided: set[int], limit: int | None) -> list[ReviewRow]:
    shown = [(ids, middle_first(queries, voters, ids)) for ids in open_piles(queries, voters, decided)[:limit]]
    rows = queries.by_id([int(i) for _, some in shown for i in some[: NAMED + 1]])
    found = []
    for ids, some in shown:
        here = [rows[i] for i in some[: NAMED + 1] if i in rows]
        if here:
            found.append(_pile(here, len(ids)))
    return found


def _pile(rows: Sequence[PictureRow], size: int) -> ReviewRow:
    middle, *others = rows
    return ReviewRow(
        reason=UNASSIGNED,
        sha256=middle.sha256,
        cluster_id=None,
        cluster_name="",
        probability=None,
        runner_up=None,
        runner_up_name="",
        margin=None,
        pile=size,
        others=tuple(row.sha256 for row in others),
        uri=middle.uri,
    )


def middle_first(queries: Queries, voters: Voters, ids_M: NDArray[np.int64]) -> list[int]:
    """Some pictures of a pile, the one nearest to its centre first; by id where the round's vectors are gone."""
    some = ids_M[:LOOKED_AT]
    if len(some) < 3:
        return [int(i) for i in some]
    known_M, innate_MD, learned_MD = queries.embeddings(some, voters.version)
    if len(known_M) == 0:
        return [int(i) for i in some]
    points_MP = voters.space.project(innate_MD, learned_MD)
    order_M = np.argsort(-(points_MP @ points_MP.mean(axis=0)), kind="stable")
    return [int(i) for i in known_M[order_M]]
