"""Why a picture is where it is: the answer is that of the round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.calibration import stated
from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.config import ClusterConfig
from agent.looking import Subject, stored_subject
from agent.reasons import Explanation, Reasons
from storage.errors import NotFound
from storage.queries import Queries
from storage.records import PictureRecord
from storage.store import Store
from tests.agent.rounds import blob
from tests.factories import picture, sha

CONFIG = ClusterConfig(every=60, near_copy=1.0, k=(15,), diffusion=(0,))


def between(numbers: range) -> list[PictureRecord]:
    """Pictures somewhere between two groups."""
    records = []
    for n in numbers:
        generator = np.random.default_rng(n)
        share, vector = generator.uniform(0.2, 0.8), generator.normal(0, 0.12, 16)
        vector[[0, 1]] += share, 1 - share
        records.append(replace(picture(n), innate_D=vector.astype(np.float16)))
    return records


@pytest.fixture
def worker(store: Store, queries: Queries) -> ClusterWorker:
    return ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG)


@pytest.fixture
def ids(store: Store, worker: ClusterWorker) -> list[int]:
    """Two groups of sixty and twelve pictures between them, after one round."""
    ids = store.add([*blob(range(60), 0), *blob(range(60, 120), 1), *between(range(300, 312))])
    worker.round("requested")
    return ids


def why(queries: Queries, picture_id: int) -> Explanation:
    return Reasons(queries).explain(stored_subject(queries, picture_id))


def test_the_answer_is_that_of_the_round(queries: Queries, ids: list[int]) -> None:
    """For everyone: the votes' winner is the agent's kind, and its share gives the probability that was stated."""
    reasons, said = Reasons(queries), queries.said(ids)
    free = 0
    for picture_id, kind, probability, core in zip(
        said.picture_N.tolist(), said.cluster_N.tolist(), said.probability_N.tolist(), said.core_N.tolist(), strict=True
    ):
        found = reasons.explain(stored_subject(queries, picture_id))
        assert found.in_window
        if core:
            assert "core member" in found.note
        elif kind >= 0:
            free += 1
            assert found.votes[0].cluster_id == kind
            assert stated(found.votes[0].share) == pytest.approx(probability, abs=1e-3)
            # the end of a walk is what its neighbours' ends are on average
            assert sum(voter.weight for voter in found.voters) == pytest.approx(found.votes[0].share, abs=0.1)
    assert free > 0


def test_a_picture_between_two_kinds_has_a_runner_up(queries: Queries, ids: list[int]) -> None:
    found = [why(queries, picture_id) for picture_id in ids[-12:]]
    both = [one for one in found if one.runner_up is not None]
    assert both
    for one in both:
        assert one.runner_up is not None
        assert one.margin == pytest.approx(one.votes[0].share - one.runner_up.share)
        assert one.core_distance is not None
        assert one.core_typical is not None
        assert one.core_distance > one.core_typical


def test_voters_are_neighbours_nearest_first(queries: Queries, ids: list[int]) -> None:
    found = why(queries, ids[0])
    cosines = [voter.cosine for voter in found.voters]
    assert cosines == sorted(cosines, reverse=True)
    assert sha(0) not in {voter.sha256 for voter in found.voters}
    assert {voter.cluster_id for voter in found.voters} == {found.cluster_id}


def test_exemplars_of_its_kind_are_told_most_alike_first(queries: Queries, ids: list[int]) -> None:
    found = why(queries, ids[0])
    assert found.cluster_id is not None
    exemplars = {queries.by_id([i])[i].sha256 for i in queries.exemplars(found.cluster_id)} - {found.sha256}
    cosines = [one.cosine for one in found.exemplars]
    assert cosines == sorted(cosines, reverse=True)
    assert 0 < len(cosines) <= 5
    assert {one.sha256 for one in found.exemplars} <= exemplars
    assert queries.exemplars(99) == []


def test_a_picture_outside_the_window_is_told_what_the_agent_voted(
    store: Store, queries: Queries, worker: ClusterWorker, ids: list[int]
) -> None:
    late = store.add(blob(range(200, 203), 1))
    before = why(queries, late[0])
    assert (before.status, before.in_window) == ("pending", False)
    worker.step()
    after = why(queries, late[0])
    assert after.cluster_id == before.said.cluster_id == after.said.cluster_id
    assert after.said.probability == pytest.approx(before.said.probability, abs=1e-3)


def test_a_new_picture_is_told_where_it_would_be(queries: Queries, ids: list[int]) -> None:
    (shown,) = blob(range(500, 501), 0)
    found = Reasons(queries).explain(Subject(None, shown.sha256, 1, shown.innate_D, None))
    assert (found.status, found.cluster_id) == ("new", None)
    assert found.said.cluster_id == why(queries, ids[0]).cluster_id
    nowhere = Reasons(queries).explain(Subject(None, "", 1, -shown.innate_D, None))
    assert nowhere.outside or nowhere.votes


def test_what_is_foreign_to_the_one_kind_there_is_lies_outside(store: Store, queries: Queries) -> None:
    worker = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG)
    store.add(blob(range(60), 0))
    worker.round("requested")
    (alike,), (foreign,) = blob(range(500, 501), 0), blob(range(600, 601), 1)
    reasons = Reasons(queries)
    found = reasons.explain(Subject(None, alike.sha256, 1, alike.innate_D, None))
    assert not found.outside
    assert found.said.cluster_id is not None
    found = reasons.explain(Subject(None, foreign.sha256, 1, foreign.innate_D, None))
    assert found.outside
    assert found.said.cluster_id is None


def test_a_persons_placing_is_a_fact_beside_what_the_agent_says(store: Store, queries: Queries, ids: list[int]) -> None:
    kind = why(queries, ids[0]).cluster_id
    event, made = store.move([sha(0)], None, "anna")
    found = why(queries, ids[0])
    assert (found.cluster_id, found.said.cluster_id) == (made, kind)
    assert found.placed is not None
    assert (found.placed.event_id, found.placed.actor, found.placed.type) == (event, "anna", "moved")


def test_merged_kinds_are_told_as_people_see_them(store: Store, queries: Queries, ids: list[int]) -> None:
    one, two = (why(queries, i).cluster_id for i in (ids[0], ids[60]))
    assert one is not None
    assert two is not None
    store.merge([one], two, "anna")
    found = why(queries, ids[0])
    assert (found.cluster_id, found.said.cluster_id) == (two, one)
    assert [vote.cluster_id for vote in found.votes] == [two]
    assert found.core_distance is not None


def test_what_was_forgotten_votes_no_more(store: Store, queries: Queries, ids: list[int]) -> None:
    gone = why(queries, ids[0]).voters[0].sha256
    store.forget([gone], "anna")
    found = why(queries, ids[0])
    assert gone not in {voter.sha256 for voter in found.voters}
    assert len(found.voters) == Reasons(queries)._voters.k


def test_near_copies_are_told_who_stands_for_them(store: Store, queries: Queries) -> None:
    config = ClusterConfig(near_copy=0.9)
    records = [*blob(range(40), 0), *blob(range(40, 80), 1)]
    copy = replace(picture(99), innate_D=records[5].innate_D)
    ids = store.add([*records, copy])
    ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config).round("requested")
    assert why(queries, ids[-1]).near_copy_of is not None
    assert why(queries, ids[-1]).voters == why(queries, ids[5]).voters


def test_a_version_that_no_round_has_looked_at(
    store: Store, queries: Queries, worker: ClusterWorker, ids: list[int]
) -> None:
    """While the vectors of the round's version are there, it can be explained; when they are gone, it says so."""

    def publish() -> None:
        version = store.begin_version("", {})
        _, innate, _ = queries.embeddings(ids, 1)
        store.add_embeddings(version, ids, innate)
        store.publish_version(version)

    publish()
    assert why(queries, ids[0]).encoder_version == 1
    worker.round("version")
    assert why(queries, ids[0]).encoder_version == 2
    (late,) = store.add(blob(range(200, 201), 1))
    assert "no embedding under encoder version 2" in why(queries, late).note
    publish()
    with pytest.raises(NotFound, match="wait for the next round, or `recluster`"):
        why(queries, ids[0])


def test_a_new_picture_that_goes_to_a_kind_of_people_is_explained_as_the_agent_votes(
    queries: Queries, store: Store, worker: ClusterWorker
) -> None:
    store.add([*blob(range(60), 0), *blob(range(60, 120), 1), *blob(range(200, 206), 2)])
    worker.round("requested")
    _, fox = store.move([sha(n) for n in range(200, 204)], None, "anna")
    worker.round("requested")
    (record,) = blob(range(210, 211), 2)
    found = Reasons(queries).explain(Subject(None, "", 1, record.innate_D, None))
    assert (found.said.cluster_id, found.votes[0].cluster_id, found.margin) == (fox, fox, 1.0)
    assert f"speak for kind {fox}" in found.note
    by_it = [voter for voter in found.voters if voter.weight > 0]
    assert {voter.cluster_id for voter in by_it} == {fox}
    assert sum(voter.weight for voter in by_it) > 0.5
    word = {sha(n): 2 for n in range(200, 204)}
    votes = np.array([word.get(voter.sha256, 1) / (2 - 2 * voter.cosine) for voter in by_it])
    weights = np.array([voter.weight for voter in by_it])
    assert np.allclose(weights / weights.sum(), votes / votes.sum(), atol=0.01)
    (picture_id,) = store.add([record])
    worker.step()
    assert queries.assignments([picture_id]).cluster_N.tolist() == [fox]
    one = queries.assignments([1]).cluster_N.tolist()[0]
    store.merge([fox], one, "anna")
    assert Reasons(queries).explain(Subject(None, "", 1, record.innate_D, None)).said.cluster_id == one
