from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agent import observed
from agent.cluster_worker import CHOICE, ClusterWorker
from agent.clusterer import Clusterer
from agent.config import ClusterConfig
from agent.inquiries import Inquiry, as_values
from agent.partition import NONE, Partition
from agent.voters import Voters
from storage.errors import Outdated
from storage.queries import Queries
from storage.records import Event, EventType
from storage.states import RECLUSTER, VOTERS
from storage.store import Store
from tests.agent.rounds import CONFIG, Clock, blob, kinds_of, publish_rotated
from tests.agent.shapes import drawn
from tests.factories import assign, look_at, picture


@pytest.fixture
def stopwatch() -> Clock:
    return Clock()


@pytest.fixture
def worker(store: Store, queries: Queries, stopwatch: Clock) -> ClusterWorker:
    return ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)


@pytest.mark.parametrize("copies", [12, 150])
def test_pictures_that_are_all_one_burst_are_a_kind_that_votes(
    store: Store, queries: Queries, stopwatch: Clock, copies: int
) -> None:
    """Copies that differ by their bytes alone: there is one observation, and it has no neighbours."""
    config = ClusterConfig(every=60, idle_s=5, window=100)
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    (original,) = blob(range(1), 0)
    ids = store.add([replace(picture(n), innate_D=original.innate_D) for n in range(copies)])
    assert worker.step(draining=True)
    (kind,) = set(kinds_of(queries, *ids))
    ids += store.add([replace(picture(200), innate_D=original.innate_D)])
    assert worker.step()
    assert kinds_of(queries, ids[-1]) == [kind]


def test_a_vector_that_is_not_finite_keeps_nobody_else_from_being_sorted(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    (broken,) = store.add([replace(picture(80), innate_D=np.full(16, np.nan, dtype=np.float16))])
    assert worker.step()
    assert NONE not in kinds_of(queries, *ids)
    assert kinds_of(queries, broken) == [NONE]
    (voted,) = store.add(blob(range(100, 101), 1))
    store.add([replace(picture(101), innate_D=np.full(16, np.inf, dtype=np.float16))])
    assert worker.step()
    assert kinds_of(queries, voted) == kinds_of(queries, ids[79])
    restarted = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    assert restarted.step(draining=True)


def test_a_round_its_window_and_its_choice_become_visible_together(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is killed after a round can find its window to be the one before."""
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])

    def killed(*_: object, **__: object) -> None:
        raise RuntimeError("SIGKILL")

    for later in ("set_state", "set_states"):
        monkeypatch.setattr(store, later, killed)
    assert worker.step()
    assert queries.window().tolist() == ids
    assert queries.state(CHOICE) == worker._clusterer.state_dict()


def test_neighbours_vote_between_rounds(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    first = queries.last_clustering()
    store.add(blob(range(100, 103), 1))
    assert worker.step()
    assert queries.last_clustering() == first
    current = queries.assignments()
    kind_of = dict(zip(current.picture_N.tolist(), current.cluster_N.tolist(), strict=True))
    assert {kind_of[i] for i in (81, 82, 83)} == {kind_of[60]}
    assert queries.status().pending == 0
    assert not worker.step()


def test_who_is_beyond_the_window_is_asked_between_rounds_and_after_a_restart(
    store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.beyond.PIECE", 8)
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step()
    one, other = (record.id for record in queries.living_clusters())
    members = queries.said_members([one]).picture_N.tolist()
    look_at(store, [i for i in range(1, 81) if i not in members[10:]])
    store.revise(assign({}), kept=as_values([Inquiry(one, (other,), 0, 80)]))
    restarted = ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch)
    assert restarted.step()
    assert len(queries.said_members([one]).picture_N) > 10, "a piece is not everyone"
    while restarted.step():
        pass
    assert queries.said_members([one]).picture_N.tolist() == members[:10]


def test_a_round_leaves_out_what_has_no_vectors_yet_and_takes_it_when_it_has(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    _, innate_ND = queries.innate(ids)
    version = store.begin_version("", {})
    store.add_embeddings(version, ids[:70], innate_ND[:70])
    store.publish_version(version)
    for _ in range(20):  # there is an end to it
        if not worker.step(draining=True):
            break
    else:
        raise AssertionError("rounds without anything new")
    last = queries.last_clustering()
    assert last is not None
    assert (last.through_picture, queries.status().pending) == (ids[69], 10)
    store.add_embeddings(version, ids[70:], innate_ND[70:])
    while worker.step(draining=True):
        pass
    assert (queries.status().pending, queries.status().behind) == (0, 0)
    assert len({kind.size for kind in queries.clusters()} - {0}) == 1, "forty each"


def test_a_new_encoder_version_is_clustered_and_ids_stay(worker: ClusterWorker, store: Store, queries: Queries) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    before = queries.assignments()
    version = store.begin_version("", {})
    _, innate, _ = queries.embeddings(ids, 1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    store.add_embeddings(version, ids, (innate.astype(np.float64) @ rotation).astype(np.float16))
    store.publish_version(version)
    assert worker.step()
    last = queries.last_clustering()
    assert last is not None
    assert last.encoder_version == version
    assert queries.assignments().cluster_N.tolist() == before.cluster_N.tolist()


def test_a_correction_in_between_is_not_overwritten(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    kind = queries.living_clusters()[0].id
    store.add(blob(range(100, 170), 2))
    fit = worker._clusterer.fit

    def slow_fit(*arguments: object, **options: object) -> object:
        monkeypatch.undo()
        moved = Event(EventType.MOVED, kind, actor="somebody")
        store.revise(queries.assignments([1]), events=[moved], actor="somebody")
        return fit(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker._clusterer, "fit", slow_fit)
    with pytest.raises(Outdated):
        worker.round("every")
    assert worker.step()
    assert len(queries.living_clusters()) == 3


def test_a_restarted_worker_goes_on_with_its_choice(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    clusterer = Clusterer(CONFIG, np.random.default_rng(0))
    ClusterWorker(clusterer, store, queries, CONFIG, stopwatch)
    assert clusterer.state_dict() == worker._clusterer.state_dict()
    store.set_state(CHOICE, {"setting": "of an older agent"})
    assert ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step() is False


def test_a_kind_is_told_with_those_that_lie_nearest_to_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    """As people see them: the fourth kind lies between the first two, and is merged into the second."""
    between = [
        replace(one, innate_D=one.innate_D + lean) for one in blob(range(120, 160), 3) for lean in [toward(0, 1)]
    ]
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1), *blob(range(80, 120), 2), *between])
    worker.step()
    first, second, third, fourth = kinds_of(queries, ids[0], ids[40], ids[80], ids[120])
    store.rename(second, "moths", "anna")
    assert near(queries, first)[0] == (fourth, "")
    assert near(queries, third)[-1] == (fourth, "")
    store.merge([fourth], second, "anna")
    assert near(queries, first)[0] == (second, "moths")
    assert {first, third} <= {kind for kind, _ in near(queries, second)}
    worker.round("requested")
    assert near(queries, first)[0] == (second, "moths")


def toward(*axes: int) -> NDArray[np.float16]:
    lean = np.zeros(16, dtype=np.float16)
    lean[list(axes)] = 0.5
    return lean


def near(queries: Queries, kind: int) -> list[tuple[int, str]]:
    return [(row.cluster_id, row.cluster_name) for row in queries.cluster(kind).neighbours]


def test_rounds_votes_and_versions_respect_a_merge_and_undoing_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event = store.merge([two], one, "anna")
    (voted,) = store.add(blob(range(100, 101), 1))
    worker.step()
    assert kinds_of(queries, voted) == [one]
    later = store.add(blob(range(120, 200), 1))
    worker.step()
    assert set(kinds_of(queries, *ids, *later)) == {one}
    publish_rotated(store, queries)
    worker.step()
    assert set(kinds_of(queries, *ids, *later)) == {one}
    store.undo(event, "anna")
    assert set(kinds_of(queries, *ids[40:], voted, *later)) == {two}
    worker.round("requested")
    assert set(kinds_of(queries, *ids[:40])) == {one}
    assert set(kinds_of(queries, *ids[40:], voted, *later)) == {two}


class Drawn(Clusterer):
    """A clusterer that finds what it is told."""

    def __init__(self, config: ClusterConfig) -> None:
        super().__init__(config, np.random.default_rng(0))
        self.label_of: dict[int, int] = {}

    def fit(self, ids_N: NDArray[np.int64], *_: object, **__: object) -> Partition:  # type: ignore[override]
        return drawn({int(picture): self.label_of.get(int(picture), NONE) for picture in ids_N})

    def voters(self, *_: object) -> None:  # type: ignore[override]
        return None

    def near(self, *_: object) -> dict[int, list[tuple[int, float]]]:  # type: ignore[override]
        return {}

    def valley(self, *_: object) -> float:
        return 0.0


def test_what_comes_off_a_merged_kind_is_no_kind_and_no_news(store: Store, queries: Queries, stopwatch: Clock) -> None:
    """Round after round, a part of the part too; undoing the merge shows what the agent says by then."""
    config = CONFIG.model_copy(update={"every": 10, "dormant_after": 12})
    clusterer = Drawn(config)
    worker = ClusterWorker(clusterer, store, queries, config, stopwatch)

    def comes(numbers: range, label: int) -> list[int]:
        ids = store.add([picture(number) for number in numbers])
        clusterer.label_of |= dict.fromkeys(ids, label)
        return ids

    one_ids, two_ids = comes(range(40), 0), comes(range(40, 80), 1)
    worker.step()
    comes(range(80, 92), 1)
    worker.step()
    one, two = kinds_of(queries, one_ids[0], two_ids[0])
    store.rename(two, "moths", "anna")
    event = store.merge([one], two, "anna")
    for whole, label in ((0, 2), (2, 3)):
        members = [picture for picture, kind in clusterer.label_of.items() if kind == whole]
        clusterer.label_of |= dict.fromkeys(members[: len(members) * 2 // 5], label)
        for among in (whole, label, whole):  # seen once, split off at the second sight, confirmed
            comes(range(len(clusterer.label_of), len(clusterer.label_of) + 12), among)
            worker.step()
            assert [(kind.id, kind.name) for kind in queries.clusters()] == [(two, "moths")]
            assert queries.clusters()[0].size == len(clusterer.label_of)
    first, second = queries.history(type="split")
    assert first.cluster_id == one
    assert second.cluster_id == first.other_ids[0]
    for told in (first, second):
        assert told.detail == {"seen_in": {str(told.other_ids[0]): two}}
    assert {told.cluster_id for told in queries.history(type="emerged")} == {one, two}
    assert two not in {told.cluster_id for told in queries.history(type="dormant")}
    store.undo(event, "anna")
    assert {kind.id for kind in queries.clusters()} == {one, two, first.other_ids[0], second.other_ids[0]}
    worker.round("requested")
    assert len(queries.clusters()) == 4


def test_pictures_stay_where_people_put_them_through_a_new_version(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event, _ = store.move([picture(0).sha256], two, "anna")
    _, made = store.divide(one, [picture(1).sha256, picture(2).sha256], "anna")
    for _ in range(CONFIG.patience + 1):
        worker.round("requested")
    publish_rotated(store, queries)
    worker.step()
    assert kinds_of(queries, *ids[:4]) == [two, made, made, one]
    assert {kind.id for kind in queries.clusters()} == {one, two, made}
    store.undo(event, "bob")
    assert kinds_of(queries, ids[0]) == [one]


def test_a_kind_that_people_make_grow_is_not_dormant(store: Store, queries: Queries, stopwatch: Clock) -> None:
    config = CONFIG.model_copy(update={"dormant_after": 100})
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    _, made = store.move([picture(0).sha256, picture(1).sha256], None, "anna")
    (two,) = kinds_of(queries, ids[79])
    store.merge([two], made, "anna")
    for start in (100, 200, 300):
        store.add(blob(range(start, start + 80), 1))
        worker.round("requested")
    states = {kind.id: (kind.state, kind.size) for kind in queries.clusters()}
    assert states[made][0] == "active"
    assert states[made][1] > 270


def test_a_round_that_was_void_leaves_no_votes_behind(
    store: Store, queries: Queries, stopwatch: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"strangers": 1.0})
    worker = ClusterWorker(Clusterer(config, np.random.default_rng(0)), store, queries, config, stopwatch)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    store.add(blob(range(100, 130), 2))
    worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    add = store.add_clustering

    def overtaken(*arguments: object, **options: object) -> int:
        monkeypatch.setattr(store, "add_clustering", add)
        store.move([picture(0).sha256], kinds_of(queries, ids[79])[0], "anna")
        return add(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "add_clustering", overtaken)
    assert worker.step()
    store.add(blob(range(140, 141), 2))
    assert not worker.step()
    stopwatch.now += CONFIG.idle_s + 1
    assert worker.step()
    assert len(queries.clusters()) == 3


def test_pictures_like_those_of_a_kind_that_people_made_follow_it(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    """What people left where it was stays; once there are many, they are that kind and no other one."""
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    few = store.add(blob(range(200, 206), 2))
    worker.step()
    left = kinds_of(queries, *few[3:])
    _, fox = store.move([picture(n).sha256 for n in (200, 201, 202)], None, "anna")
    worker.round("requested")
    assert kinds_of(queries, *few) == [fox, fox, fox, *left]
    (voted,) = store.add(blob(range(210, 211), 2))
    worker.step()
    assert kinds_of(queries, voted) == [fox]
    many = store.add(blob(range(220, 300), 2))
    worker.step()
    assert set(kinds_of(queries, *many, *few, voted)) == {fox}
    known = next(kind for kind in queries.clusters() if kind.id == fox)
    assert known.size == 87
    assert known.core_size > 40
    assert {event.type for event in queries.history()} <= {"emerged", "confirmed", "moved"}
    assert len(queries.clusters()) == 3


def test_what_followed_is_free_again_when_the_kind_is_undone(
    worker: ClusterWorker, store: Store, queries: Queries, stopwatch: Clock
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    one, two = kinds_of(queries, ids[0], ids[79])
    event, made = store.divide(one, [picture(n).sha256 for n in range(20)], "anna")
    new = store.add(blob(range(100, 160), 0))
    worker.step()
    followed = [i for i, kind in zip(new, kinds_of(queries, *new), strict=True) if kind == made]
    assert len(followed) > 5
    assert kinds_of(queries, *ids) == [made] * 20 + [one] * 20 + [two] * 40
    assert not worker.step()
    store.undo(event, "anna")
    assert kinds_of(queries, *ids[:20]) == [one] * 20
    assert set(kinds_of(queries, *followed)) == {NONE}
    assert queries.state(RECLUSTER)
    worker.round("requested")
    assert set(kinds_of(queries, *ids[:40], *new)) == {one}
    assert store.undo(max(event.id for event in queries.history()), "anna")
    assert kinds_of(queries, *ids[:20]) == [made] * 20


def test_nobody_is_voted_into_a_kind_that_people_unmake_meanwhile(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    store.add(blob(range(200, 206), 2))
    worker.step()
    event, made = store.move([picture(n).sha256 for n in (200, 201, 202)], None, "anna")
    worker.round("requested")
    (late,) = store.add(blob(range(210, 211), 2))
    vote = Clusterer.vote

    def unmade_meanwhile(self: Clusterer, *vectors: Any) -> Any:
        store.undo(event, "anna")
        return vote(self, *vectors)

    with monkeypatch.context() as patch:
        patch.setattr(Clusterer, "vote", unmade_meanwhile)
        worker.step()
    assert late not in queries.said_members([made]).picture_N


def test_a_round_sends_nobody_beyond_the_window_to_a_kind_that_people_unmade(
    store: Store, queries: Queries, stopwatch: Clock
) -> None:
    store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    ClusterWorker(Clusterer(CONFIG, np.random.default_rng(0)), store, queries, CONFIG, stopwatch).step()
    one = queries.living_clusters()[0].id
    event, made = store.move([picture(79).sha256], None, "anna")
    store.revise(assign({}), kept=as_values([Inquiry(one, (made,), 0, 80)]))
    small = CONFIG.model_copy(update={"window": 60})
    worker = ClusterWorker(Clusterer(small, np.random.default_rng(0)), store, queries, small, stopwatch)
    store.undo(event, "anna")
    worker.round("requested")
    assert len(queries.said_members([made]).picture_N) == 0


def test_pictures_that_were_taught_before_their_first_round_lead_too(
    worker: ClusterWorker, store: Store, queries: Queries
) -> None:
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    taught = store.teach("fox", [picture(3).sha256], "anna")
    worker.step()
    assert set(kinds_of(queries, *ids[:40])) == {taught.cluster_id}
    assert len(queries.clusters()) == 2


@pytest.mark.parametrize("kept_from", [20, 4_096], ids=["a window that is kept", "a window that is made anew"])
def test_a_picture_that_was_forgotten_leaves_the_window_and_what_rounds_keep(
    worker: ClusterWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch, kept_from: int
) -> None:
    monkeypatch.setattr(observed, "SPACE_ROWS", kept_from)
    ids = store.add([*blob(range(40), 0), *blob(range(40, 80), 1)])
    worker.step()
    gone = queries.living_clusters()[0].exemplars[0]
    store.forget([picture(ids.index(gone)).sha256], "anna")
    worker.round("requested")
    votes = queries.state(VOTERS)
    assert isinstance(votes, dict)
    assert gone not in Voters.of_state(votes).ids_N
    assert [kind.id for kind in queries.living_clusters() if gone in kind.exemplars] == []
    assert queries.last_clustering().window_size == 79  # type: ignore[union-attr]
