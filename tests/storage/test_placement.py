"""The window and the map are what was said last."""

from __future__ import annotations

import numpy as np
import pytest

from storage.errors import NotFound
from storage.queries import Queries
from storage.store import Store
from tests.factories import pictures


def test_window_is_what_was_said_last(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(5)))
    assert queries.window().tolist() == []
    store.set_window([*ids[:3], 99])
    assert queries.window().tolist() == ids[:3]
    store.set_window(ids[2:])
    assert queries.window().tolist() == ids[2:]


def test_map_is_what_was_said_last(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    store.set_layout(1, ids, np.zeros((3, 2), dtype=np.float32))
    store.set_layout(1, [ids[2], ids[0], 99], np.array([[5, 6], [1, 2], [0, 0]], dtype=np.float32))
    found_N, xy_N2 = queries.layout(1)
    assert found_N.tolist() == [ids[0], ids[2]]
    assert xy_N2.tolist() == [[1, 2], [5, 6]]
    assert queries.layout(2)[1].shape == (0, 2)
    with pytest.raises(NotFound):
        store.set_layout(7, ids, np.zeros((3, 2), dtype=np.float32))
