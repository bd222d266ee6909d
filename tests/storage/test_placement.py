"""The window and the map are what was said last."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, select

from storage.errors import NotFound
from storage.queries import Queries
from storage.rows import PlaceRow
from storage.schema import layouts
from storage.store import Store
from tests.factories import Clock, look_at, pictures, round_of, sha


def test_window_is_what_was_said_last(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(5)))
    assert queries.window().tolist() == []
    look_at(store, [*ids[:3], 99])
    assert queries.window().tolist() == ids[:3]
    look_at(store, ids[2:])
    assert queries.window().tolist() == ids[2:]


def place(store: Store, places: dict[int, tuple[float, float]], version: int = 1) -> None:
    store.set_layout(version, list(places), np.array(list(places.values()), dtype=np.float32))


def test_the_map_shows_pictures_where_they_were_put_last_and_others_where_they_were(
    store: Store, queries: Queries
) -> None:
    ids = store.add(pictures(range(4)))
    place(store, dict.fromkeys(ids[:3], (0, 0)))
    place(store, {ids[2]: (5, 6), ids[0]: (1, 2), 99: (0, 0)})
    assert queries.layout([ids[2], ids[0], ids[1]]).tolist() == [[5, 6], [1, 2], [0, 0]]
    assert np.isnan(queries.layout([ids[3], 99])).all()
    assert queries.layout([]).shape == (0, 2)
    with pytest.raises(NotFound):
        place(store, {ids[0]: (0, 0)}, version=7)


def test_places_outlive_the_version_that_made_them_until_others_take_their_place(
    store: Store, queries: Queries, engine: Engine
) -> None:
    ids = store.add(pictures(range(3)))
    place(store, dict.fromkeys(ids, (1, 1)))
    for _ in range(2):
        version = store.begin_version("", {})
        store.add_embeddings(version, ids, np.zeros((3, 8), dtype=np.float16))
        store.publish_version(version)
    place(store, {ids[0]: (2, 2)}, version=3)
    assert queries.layout(ids).tolist() == [[2, 2], [1, 1], [1, 1]]
    with engine.connect() as connection:
        rows = connection.execute(select(layouts.c.picture_id, layouts.c.version).order_by(layouts.c.picture_id))
        assert rows.all() == [(ids[0], 3), (ids[1], 1), (ids[2], 1)]


def test_people_see_the_kinds_of_then_on_the_map_of_now(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(3)))
    one, two = store.allocate_clusters(2)
    store.add_clustering(round_of({ids[0]: one, ids[1]: None}))
    then = clock()
    clock.tick()
    (late,) = store.add(pictures([3]))
    store.add_clustering(round_of({ids[0]: two, ids[1]: two, ids[2]: one, late: one}))
    place(store, {ids[0]: (1, 2), ids[1]: (3, 4), late: (5, 6)})
    assert {row.sha256: (row.x, row.y, row.cluster_id) for row in queries.map(10)} == {
        sha(0): (1, 2, two),
        sha(1): (3, 4, two),
        sha(3): (5, 6, one),
    }
    assert {row.sha256: row.cluster_id for row in queries.map(10, then)} == {sha(0): one, sha(1): None}
    assert queries.map(2) == sorted(queries.map(10), key=lambda row: row.sha256)[:2]
    assert queries.on_map([sha(3), sha(2)]) == {sha(3): PlaceRow(sha(3), 5, 6, one)}


def test_pictures_are_listed_from_the_newest_on(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(5)))
    assert queries.ids_before(None, 2).tolist() == [ids[4], ids[3]]
    assert queries.ids_before(ids[3], 9).tolist() == ids[2::-1]
    assert queries.ids_before(ids[0], 9).tolist() == []
