"""What becomes of pictures beyond the window when a round changes their kind.

They keep what was said of them; but a kind that was absorbed takes them along, and where one split or disappeared their
nearest neighbours in the window are asked again, in the innate embedding, since that is the one that every picture has.
"""

from __future__ import annotations

import numpy as np

from agent.calibration import stated
from agent.graph import nearest
from agent.lineage import LineageResult
from agent.partition import NONE
from agent.propagation import Labels
from agent.space import Points, fit_space
from storage.overrule import rows_of
from storage.queries import Queries
from storage.records import Assignments, Event, EventType

# Pictures of the window that are asked, neighbours that vote, axes in which those are near, and pictures at a time.
ASKED = 8_192
NEIGHBOURS = 15
DIMS = 64
CHUNK = 4_096


def with_beyond(inside: Assignments, result: LineageResult, queries: Queries, assign: float) -> Assignments:
    """What is said of the window, and anew of those beyond it whose kind is not what it was.

    Args:
        inside: what is said of the window, and of what came since the last round.
        assign: share of the votes below which a picture belongs nowhere.
    """
    parts = [inside, inherited(inside, result, queries)]
    for event in result.events:
        if event.type in (EventType.SPLIT, EventType.DISAPPEARED) and event.cluster_id not in result.heirs:
            parts.append(asked_again(event, inside, queries, assign))
    return joined(*parts)


def inherited(inside: Assignments, result: LineageResult, queries: Queries) -> Assignments:
    """Members beyond the window follow their kind into the one that absorbed it."""
    members = beyond(inside, list(result.heirs), queries)
    heir_M = np.array([result.heirs[kind] for kind in members.cluster_N.tolist()], dtype=np.int64)
    return Assignments(members.picture_N, heir_M, members.probability_N, members.core_N)


def asked_again(event: Event, inside: Assignments, queries: Queries, assign: float) -> Assignments:
    """Members of a kind beyond the window, each where most of its nearest neighbours in the window are.

    Of a kind that split only its parts are asked, of one that disappeared everyone, and who belongs nowhere too.
    """
    members = beyond(inside, [] if event.cluster_id is None else [event.cluster_id], queries)
    asked = inside
    if event.type is EventType.SPLIT:
        parts = np.array([event.cluster_id, *event.other_ids], dtype=np.int64)
        asked = rows_of(inside, np.isin(inside.cluster_N, parts))
    cluster_M = np.full(len(members.picture_N), NONE, dtype=np.int64)
    share_M = np.zeros(len(cluster_M), dtype=np.float32)
    if len(cluster_M) and len(asked.picture_N):
        cluster_M, share_M = elected(members, asked, queries)
    nowhere_M = (cluster_M == NONE) | (share_M < assign)
    cluster_M[nowhere_M], share_M[nowhere_M] = NONE, 0
    return Assignments(members.picture_N, cluster_M, stated(share_M), np.zeros(len(cluster_M), dtype=np.bool_))


def elected(members: Assignments, asked: Assignments, queries: Queries) -> tuple[Labels, Points]:
    """The kind (M,) for which most of the neighbours of each vote, and their share."""
    asked = rows_of(asked, np.arange(0, len(asked.picture_N), -(-len(asked.picture_N) // ASKED)))
    ids_V, innate_VD = queries.innate(asked.picture_N)
    kinds_K, number_V = np.unique(asked.cluster_N[np.isin(asked.picture_N, ids_V)], return_inverse=True)
    space = fit_space(innate_VD, None, DIMS)
    points_VP = space.project(innate_VD, None)
    votes_MK = np.zeros((len(members.picture_N), len(kinds_K)), dtype=np.float32)
    for start in range(0, len(votes_MK), CHUNK):
        ids_C, innate_CD = queries.innate(members.picture_N[start : start + CHUNK])
        row_CN, _ = nearest(points_VP, space.project(innate_CD, None), NEIGHBOURS)
        votes_CK = (number_V[row_CN][:, :, None] == np.arange(len(kinds_K))).mean(axis=1)
        votes_MK[np.searchsorted(members.picture_N, ids_C)] = votes_CK
    return kinds_K[votes_MK.argmax(axis=1)], votes_MK.max(axis=1)


def beyond(inside: Assignments, kinds: list[int], queries: Queries) -> Assignments:
    """What is said of the other members of these kinds, by picture id."""
    if not kinds:
        return rows_of(inside, np.zeros(len(inside.picture_N), dtype=np.bool_))
    members = queries.said_members(kinds)
    return rows_of(members, ~np.isin(members.picture_N, inside.picture_N))


def joined(*parts: Assignments) -> Assignments:
    """All, one after the other."""
    return Assignments(
        np.concatenate([part.picture_N for part in parts]),
        np.concatenate([part.cluster_N for part in parts]),
        np.concatenate([part.probability_N for part in parts]),
        np.concatenate([part.core_N for part in parts]),
    )
