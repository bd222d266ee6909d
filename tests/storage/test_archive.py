"""All pictures with their vectors, page by page."""

from __future__ import annotations

import numpy as np
import pytest

from storage import archive
from storage.queries import Queries
from storage.store import Store
from tests.factories import picture, pictures


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE", 4)


@pytest.mark.parametrize("count", [0, 3, 4, 9])
def test_every_picture_comes_once_in_order(store: Store, queries: Queries, count: int) -> None:
    ids = store.add(pictures(range(count)))
    pages = list(queries.archive(1))
    assert [i for page in pages for i in page.ids_B.tolist()] == ids
    assert all(page.learned_BD is None and len(page.ids_B) <= 4 for page in pages)
    if count:
        _, innate_ND = queries.innate(ids)
        assert np.array_equal(np.vstack([page.innate_BD for page in pages]), innate_ND)


def test_pictures_without_a_learned_vector_are_among_them(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(6)))
    version = store.begin_version("", {})
    vectors = np.arange(8, dtype=np.float16).reshape(2, 4)
    store.add_embeddings(version, [ids[1], ids[5]], vectors)
    first, second = queries.archive(version)
    assert first.has_B.tolist() == [False, True, False, False]
    assert second.has_B.tolist() == [False, True]
    assert first.learned_BD is not None
    assert second.learned_BD is not None
    assert np.array_equal(np.vstack([first.learned_BD[1], second.learned_BD[1]]), vectors)
    assert not first.learned_BD[0].any()


def test_a_sample_comes_from_the_whole_archive(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(40)))
    sample = queries.spread(1, 4)
    assert len(sample.ids_B) == 4
    assert sample.ids_B[-1] > ids[len(ids) // 2]
    assert len(queries.spread(1, 100).ids_B) == 40


def test_a_place_tells_its_picture(store: Store, queries: Queries) -> None:
    (one,) = store.add([picture(1)])
    assert queries.id_at("/pictures/1.jpg") == one
    store.mark_missing(["/pictures/1.jpg"])
    assert queries.id_at("/pictures/1.jpg") is None
    assert queries.by_id([one, 77])[one].uri == ""
