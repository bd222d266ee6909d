"""Pictures of machines that only take them in get vectors of the ready version, and the clusterer waits for those."""

from __future__ import annotations

import numpy as np
import pytest

from agent.others import LOOK_S, Others
from storage import archive
from storage.queries import Queries
from storage.store import Store
from tests.agent.work import VECTOR_D, Work
from tests.factories import pictures, round_of


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE", 4)


@pytest.fixture
def work(store: Store) -> Work:
    return Work(store)


@pytest.fixture
def others(queries: Queries, work: Work) -> Others:
    return Others(queries, work, batch=3, clock=work.clock)


def version_of(store: Store, ids: list[int]) -> int:
    """A ready version that these have vectors of."""
    version = store.begin_version("", {})
    store.add_embeddings(version, ids, np.tile(VECTOR_D, (len(ids), 1)))
    store.publish_version(version)
    return version


def finish(others: Others) -> None:
    while others.due:
        others.step()


def test_what_came_after_the_last_round_is_embedded_whenever_it_comes(
    others: Others, work: Work, store: Store, queries: Queries
) -> None:
    old = store.add(pictures(range(2)))
    store.add_clustering(round_of(dict.fromkeys(old, 1)))
    ids = store.add(pictures(range(2, 12)))
    version = version_of(store, ids[:1])
    others.begin(version)
    assert queries.embedded_through(version) == ids[0]
    finish(others)
    assert [i for _, some in work.done for i in some] == ids[1:], "what the round has seen is not for us"
    assert queries.embedded_through(version) == ids[-1]
    later = store.add(pictures(range(12, 14)))
    assert not others.due, "looking costs something"
    assert queries.embedded_through(version) == ids[-1]
    work.now += LOOK_S
    finish(others)
    assert work.done[-1] == (version, later)
    assert queries.embedded_through(version) == later[-1]


def test_of_the_born_network_nothing_is_missing(others: Others, work: Work, store: Store, queries: Queries) -> None:
    (only,) = store.add(pictures(range(1)))
    others.begin(1)
    work.now += LOOK_S
    assert not others.due
    assert queries.embedded_through(1) == only


def test_what_could_not_be_written_is_done_again(others: Others, work: Work, store: Store) -> None:
    ids = store.add(pictures(range(5)))
    version = version_of(store, ids[:1])
    others.begin(version)
    work.fails = True
    with pytest.raises(OSError, match="away"):
        others.step()
    work.fails = False
    finish(others)
    assert [i for _, some in work.done for i in some] == ids[1:]
