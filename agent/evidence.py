"""Whose votes put a picture where it is, and how far it lies from the core of its kind.

The neighbours are those that the clusterer asked (`agent.voters`), and so are their shares; the answer is the round's.
Shapes: R observations, P dimensions, V voters, K kinds. It knows nothing about storage, or about what people decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.space import Points, unit
from agent.voices import Voices
from agent.voters import Rows


@dataclass(frozen=True, slots=True)
class Ballot:
    """The observations, ready to be asked.

    Attributes:
        points_RP: of unit length; rows of those that have been forgotten since are 0.
        known_R: False for those.
        kinds_K, share_RK: the kinds as people see them, and the share of each observation's walks that end in them.
        core_R: which are core members of theirs.
        k: neighbours that vote.
        voices: who speaks for kinds that people made, as they see them; None where they made none.
    """

    points_RP: Points
    known_R: NDArray[np.bool_]
    kinds_K: Rows
    share_RK: Points
    core_R: NDArray[np.bool_]
    k: int
    voices: Voices | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the neighbours say of one picture.

    Attributes:
        voter_V: observations, nearest first.
        cosine_V: to them.
        weight_V: what each adds to the votes for the winner.
        share_K: the votes for each kind; what is missing to 1 went to none.
        spoken: the nearest of them put it into a kind that people made, and the weights are shares of their votes.
    """

    voter_V: Rows
    cosine_V: Points
    weight_V: Points
    share_K: Points
    spoken: bool = False

    @property
    def order(self) -> Rows:
        """Numbers of the kinds that have votes, most first."""
        order_K = np.argsort(-self.share_K, kind="stable")
        return np.asarray(order_K[self.share_K[order_K] > 0], dtype=np.int64)

    @property
    def margin(self) -> float:
        """By how much the winner is ahead of the runner-up."""
        first_two = -np.sort(-self.share_K)[:2]
        return float(first_two[0] - first_two[1:].sum()) if len(first_two) else 0.0


def evidence(ballot: Ballot, point_P: Points, itself: int | None = None) -> Evidence:
    """Ask the neighbours of a picture.

    Args:
        point_P: of unit length.
        itself: the observation that stands for it, where the window holds it. It is none of its own voters, and what
            the round found for it is taken as it is: the end of a walk along the graph, of which the voters are the
            first step. A core member's kind was not voted on; there the neighbours' shares are given, to compare.

    The nearest of them may put what is new into a kind that people made; then that has all votes.
    """
    cosine_R = ballot.points_RP @ point_P
    others_R = ballot.known_R.copy()
    if itself is not None:
        others_R[itself] = False
    cosine_R[~others_R] = -np.inf
    k = min(ballot.k, int(others_R.sum()))
    nearest_V = np.argpartition(-cosine_R, k - 1)[:k] if k else np.empty(0, dtype=np.int64)
    voter_V = nearest_V[np.lexsort((nearest_V, -cosine_R[nearest_V]))]
    if itself is None and k:
        spoken = _spoken(ballot, voter_V, cosine_R[voter_V])
        if spoken is not None:
            return spoken
    if itself is not None and not ballot.core_R[itself]:
        share_K = ballot.share_RK[itself]
    elif k:
        share_K = ballot.share_RK[voter_V].mean(axis=0)
    else:
        share_K = np.zeros(len(ballot.kinds_K), dtype=np.float32)
    weight_V = ballot.share_RK[voter_V, share_K.argmax()] / k if share_K.any() else np.zeros(k, dtype=np.float32)
    return Evidence(voter_V, cosine_R[voter_V], weight_V, share_K)


def _spoken(ballot: Ballot, voter_V: Rows, cosine_V: Points) -> Evidence | None:
    """What the nearest say who speak for a kind that people made; None where they do not decide."""
    if ballot.voices is None:
        return None
    chosen = ballot.voices.chosen(voter_V[None], cosine_V[None])[0]
    if chosen < 0:
        return None
    vote_V = np.zeros(len(voter_V), dtype=np.float32)
    votes = ballot.voices.votes(voter_V[None], cosine_V[None])[0]
    vote_V[: len(votes)] = votes / votes.sum()
    weight_V = np.where(ballot.voices.of_N[voter_V] == chosen, vote_V, np.float32(0))
    return Evidence(voter_V, cosine_V, weight_V, (ballot.kinds_K == chosen).astype(np.float32), spoken=True)


def core_distance(ballot: Ballot, kind: int, point_P: Points) -> tuple[float, float] | None:
    """1 - cosine to the centre of a kind's core, and the median of that over its core members; None without a core."""
    column = np.flatnonzero(ballot.kinds_K == kind)
    if len(column) == 0:
        return None
    of_kind_R = ballot.core_R & ballot.known_R & (ballot.share_RK[:, column[0]] > 0)
    if not of_kind_R.any():
        return None
    core_MP = ballot.points_RP[of_kind_R]
    centre_P = unit(core_MP.mean(axis=0, keepdims=True))[0]
    return 1 - float(centre_P @ point_P), float(np.median(1 - core_MP @ centre_P))
