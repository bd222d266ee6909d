"""What the agent knows of pictures that a person shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.hints import hints_for
from storage.queries import Queries
from storage.store import Store
from tests.agent.rounds import blob
from tests.agent.test_reasons import CONFIG
from tests.ballots import voters
from tests.factories import picture, pictures, round_of


def test_no_hints_without_a_round(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    hints = hints_for(queries, ids)
    assert (hints.votes, hints.around) == ({}, {})


def test_pictures_that_wait_are_voted_on(store: Store, queries: Queries) -> None:
    ids = store.add([*blob(range(60), 0), *blob(range(60, 120), 1)])
    ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG).round("requested")
    (late,) = store.add(blob(range(200, 201), 1))
    (kind,) = {row.cluster_id for row in queries.by_id(ids[60:]).values()}
    hints = hints_for(queries, [ids[0], late])
    assert (hints.votes, hints.around) == ({late: kind}, {})


@pytest.fixture
def ids(store: Store, queries: Queries) -> list[int]:
    """Three in a kind, and two piles: of four pictures that point one way, and of two that point another."""
    ids = store.add([*blob(range(3), 0), *blob(range(3, 7), 1), *blob(range(7, 9), 2)])
    store.allocate_clusters(1)
    where = dict(zip(ids, [1] * 3 + [None] * 6, strict=True))
    ballot = replace(voters(queries, where, k=2), pile_N=np.array([-1] * 3 + [5] * 4 + [6] * 2))
    store.add_clustering(round_of(where, voters=ballot.state_dict()))
    return ids


def test_what_lies_close_to_a_picture_in_no_kind_is_its_pile(store: Store, queries: Queries, ids: list[int]) -> None:
    hints = hints_for(queries, [ids[0], ids[3]])
    assert (hints.votes, hints.around) == ({}, {ids[3]: ids[3:7]})
    store.forget([queries.by_id([ids[4]])[ids[4]].sha256], "anna")
    assert hints_for(queries, [ids[3]]).around == {ids[3]: [ids[3], *ids[5:7]]}


def test_a_picture_that_the_round_did_not_look_at_lies_where_its_nearest_does(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    (late,) = store.add([replace(picture(50), innate_D=blob(range(4, 5), 1)[0].innate_D)])
    hints = hints_for(queries, [late])
    assert (hints.votes, hints.around) == ({}, {late: ids[3:7]})
