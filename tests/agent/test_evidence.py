"""Neighbours that vote, counted the naive way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.evidence import Ballot, core_distance, evidence
from agent.space import unit

RNG = np.random.default_rng(0)
POINTS = unit(RNG.normal(size=(30, 6)))
SHARE = RNG.dirichlet([1, 1, 1], 30).astype(np.float32)
CORE = np.zeros(30, dtype=np.bool_)
KINDS = np.array([4, 7, 9])


@pytest.fixture
def ballot() -> Ballot:
    return Ballot(POINTS, np.ones(30, dtype=np.bool_), KINDS, SHARE, CORE, 5)


def test_the_nearest_vote_and_their_shares_are_averaged(ballot: Ballot) -> None:
    point = unit(RNG.normal(size=(1, 6)))[0]
    found = evidence(ballot, point)
    wanted = sorted(range(30), key=lambda i: -float(POINTS[i] @ point))[:5]
    assert found.voter_V.tolist() == wanted
    assert found.cosine_V == pytest.approx(POINTS[wanted] @ point)
    assert found.share_K == pytest.approx(SHARE[wanted].mean(axis=0))
    first, second = sorted(found.share_K.tolist(), reverse=True)[:2]
    assert found.margin == pytest.approx(first - second)
    assert found.share_K[found.order[0]] == pytest.approx(first)


def test_nobody_votes_for_himself_and_nobody_who_was_forgotten(ballot: Ballot) -> None:
    known = ballot.known_R.copy()
    known[2] = False
    found = evidence(replace(ballot, known_R=known), POINTS[3], itself=3)
    assert not {2, 3} & set(found.voter_V.tolist())
    assert len(found.voter_V) == 5


def test_what_the_round_found_is_taken_as_it_is_unless_there_was_no_vote(ballot: Ballot) -> None:
    assert evidence(ballot, POINTS[3], itself=3).share_K == pytest.approx(SHARE[3])
    core = CORE.copy()
    core[3] = True
    found = evidence(replace(ballot, core_R=core), POINTS[3], itself=3)
    assert found.share_K == pytest.approx(SHARE[found.voter_V].mean(axis=0))


def test_fewer_observations_than_voters(ballot: Ballot) -> None:
    alone = Ballot(POINTS[:1], np.ones(1, dtype=np.bool_), KINDS, SHARE[:1], CORE[:1], 5)
    assert len(evidence(alone, POINTS[1]).voter_V) == 1
    nobody = evidence(replace(alone, known_R=np.zeros(1, dtype=np.bool_)), POINTS[1])
    assert (len(nobody.voter_V), len(nobody.order), nobody.margin) == (0, 0, 0)


def test_the_distance_to_the_core(ballot: Ballot) -> None:
    core, share = CORE.copy(), np.zeros_like(SHARE)
    core[:4] = True
    share[:4, 1] = 1
    with_core = replace(ballot, core_R=core, share_RK=share)
    centre = POINTS[:4].mean(axis=0) / np.linalg.norm(POINTS[:4].mean(axis=0))
    found = core_distance(with_core, 7, POINTS[20])
    assert found is not None
    assert found == pytest.approx((1 - POINTS[20] @ centre, np.median(1 - POINTS[:4] @ centre)), abs=1e-5)
    assert core_distance(with_core, 4, POINTS[20]) is None
    assert core_distance(with_core, 99, POINTS[20]) is None
