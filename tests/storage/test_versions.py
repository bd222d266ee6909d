"""Encoder versions: born, built, published, given up; their vectors live and go with them."""

from __future__ import annotations

import numpy as np
import pytest

from storage import versions as versions_module
from storage.errors import NotFound, StorageError
from storage.queries import Queries
from storage.records import EventType, Vectors, VersionState
from storage.schema import embeddings
from storage.store import Store
from tests.factories import DIMS, Clock, picture, pictures


def vectors(n: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).normal(size=(n, DIMS)).astype(np.float16)


def stored_versions(queries: Queries) -> list[int]:
    with queries._moment() as connection:
        return list(connection.execute(embeddings.select().order_by(embeddings.c.picture_id)).scalars())


def test_born_once(store: Store, queries: Queries) -> None:
    assert store.ensure_born({"backbone": "other"}) == 1
    row = queries.version(1)
    assert (row.state, row.config, queries.ready_version()) == (VersionState.READY, {"backbone": "small"}, 1)


def test_version_one_is_innate(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    found_N, innate_ND, learned_ND = queries.embeddings([ids[2], ids[0], 99], 1)
    assert found_N.tolist() == [ids[2], ids[0]]
    np.testing.assert_array_equal(innate_ND, np.stack([picture(2).innate_D, picture(0).innate_D]))
    assert innate_ND.dtype == np.float16
    assert learned_ND is None
    assert queries.unembedded(1, ids).tolist() == []
    with pytest.raises(StorageError, match="innate"):
        store.add_embeddings(1, ids, vectors(3))


def test_nothing_to_embed(store: Store, queries: Queries) -> None:
    found_N, innate_ND, learned_ND = queries.embeddings([], 1)
    assert (len(found_N), len(innate_ND), learned_ND) == (0, 0, None)


def test_building_then_ready(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(5)))
    version = store.begin_version("version-2", {"drift": 0.2})
    assert (version, queries.building_version(), queries.ready_version()) == (2, 2, 1)
    with pytest.raises(StorageError, match="still being built"):
        store.begin_version("", {})
    assert queries.unembedded(version, ids).tolist() == ids
    learned_ND = vectors(3)
    store.add_embeddings(version, ids[:3], learned_ND)
    store.add_embeddings(version, [*ids[:3], 99], vectors(4, seed=1))
    (new,) = store.add([picture(9, versions=[1, version, 77])])
    assert queries.unembedded(version, [*ids, new]).tolist() == ids[3:]
    store.publish_version(version)
    assert (queries.ready_version(), queries.building_version()) == (2, None)
    assert queries.version(1).state is VersionState.RETIRED
    assert queries.version(2).published_at == clock.now
    found_N, innate_ND, found_ND = queries.embeddings(np.array([*ids, new]), version)
    assert found_N.tolist() == [*ids[:3], new]
    assert found_ND is not None
    np.testing.assert_array_equal(found_ND[:3], learned_ND)
    np.testing.assert_array_equal(found_ND[3], picture(9, versions=[1, version]).learned_D[version])
    assert innate_ND.shape == found_ND.shape
    assert [event.type for event in queries.history()] == [EventType.ENCODER_PUBLISHED]


def test_publishing_deletes_the_old_vectors(store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "PIECE", 2)
    ids = store.add(pictures(range(5)))
    for expected in (2, 3):
        version = store.begin_version("", {})
        assert version == expected
        store.add_embeddings(version, ids, vectors(5, seed=version))
        store.publish_version(version)
        assert stored_versions(queries) == [version] * 5
    with pytest.raises(StorageError, match="retired"):
        store.add_embeddings(2, ids, vectors(5))
    store.add([picture(9, versions=[2, 3])])
    assert stored_versions(queries) == [3] * 6


def test_vectors_left_by_a_crash_are_deleted_at_the_next_start(
    store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = store.add(pictures(range(2)))
    for _ in range(2):
        version = store.begin_version("", {})
        store.add_embeddings(version, ids, vectors(2))
        with monkeypatch.context() as crash:
            crash.setattr(store, "_delete_retired_vectors", lambda: None)
            store.publish_version(version)
    assert sorted(stored_versions(queries)) == [2, 2, 3, 3]
    store.ensure_born({})
    assert stored_versions(queries) == [3, 3]


def test_abandoned_number_is_not_given_again(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(2)))
    version = store.begin_version("", {})
    store.add_embeddings(version, ids, vectors(2))
    store.abandon_version(version)
    assert stored_versions(queries) == []
    assert queries.building_version() is None
    with pytest.raises(NotFound):
        queries.version(version)
    assert store.begin_version("", {}) == version + 1


def test_only_a_building_version_can_be_published_or_abandoned(store: Store) -> None:
    for refuse in (store.publish_version, store.abandon_version):
        with pytest.raises(StorageError, match="not building"):
            refuse(1)
        with pytest.raises(NotFound):
            refuse(5)


def test_unborn_has_no_version(queries: Queries) -> None:
    with pytest.raises(NotFound, match="`run`"):
        queries.ready_version()
    assert queries.status().encoder_version is None
