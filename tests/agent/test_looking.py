"""Questions about single pictures, answered from what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.config import ClusterConfig
from agent.looking import Subject, nearest, stored_subject, voters_of
from storage.errors import NotFound
from storage.queries import Queries
from storage.store import Store
from tests.agent.rounds import blob

CONFIG = ClusterConfig(every=60, near_copy=1.0)


def one_round(store: Store, queries: Queries) -> int:
    return ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG).round("requested")


@pytest.fixture
def ids(store: Store) -> list[int]:
    """Two groups of forty pictures."""
    return store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])


def test_the_nearest_are_of_the_same_group_before_and_after_a_round(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    for status in ("pending", "clustered"):
        rows = nearest(queries, stored_subject(queries, ids[0]), 5)
        assert len(rows) == 5
        assert {row.status for row in rows} == {status}
        wanted = {queries.by_id([i])[i].sha256 for i in ids[1:40]}
        assert {row.sha256 for row in rows} <= wanted
        one_round(store, queries)


def test_a_picture_that_is_not_stored_is_compared_too(store: Store, queries: Queries, ids: list[int]) -> None:
    one_round(store, queries)
    (shown,) = blob(range(200, 201), 1)
    rows = nearest(queries, Subject(None, shown.sha256, 1, shown.innate_D, None), 100)
    assert len(rows) == 80
    assert {row.cluster_id for row in rows[:30]} == {rows[0].cluster_id}


def test_under_a_version_that_no_round_has_seen(store: Store, queries: Queries, ids: list[int]) -> None:
    """Its centres come from the archive; a picture that lacks its vector is compared by what is innate."""
    one_round(store, queries)
    version = store.begin_version("", {})
    _, innate, _ = queries.embeddings(ids[1:], 1)
    store.add_embeddings(version, ids[1:], innate)
    store.publish_version(version)
    for asked in (ids[0], ids[1]):
        rows = nearest(queries, stored_subject(queries, asked), 20)
        assert {row.cluster_id for row in rows} == {rows[0].cluster_id}


def test_a_round_keeps_what_its_votes_were_made_of(store: Store, queries: Queries, ids: list[int]) -> None:
    with pytest.raises(NotFound, match="recluster"):
        voters_of(queries)
    for _ in range(2):
        number = one_round(store, queries)
        voters, of_round = voters_of(queries)
        assert (of_round, voters.version, voters.ids_N.tolist()) == (number, 1, ids)
