"""Pictures beyond the window get vectors of the ready version when nothing else is to do."""

from __future__ import annotations

import numpy as np
import pytest

from agent.catch_up import CatchUp
from storage import archive
from storage.queries import Queries
from storage.store import Store
from tests.agent.work import VECTOR_D, Work
from tests.factories import pictures

TOOK_S = 2.0


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE", 4)


@pytest.fixture
def work(store: Store) -> Work:
    return Work(store, TOOK_S)


@pytest.fixture
def catch_up(queries: Queries, work: Work) -> CatchUp:
    return CatchUp(queries, work, batch=3, share=0.25, clock=work.clock)


def version_of(store: Store, ids: list[int]) -> int:
    """A ready version that these have vectors of."""
    version = store.begin_version("", {})
    store.add_embeddings(version, ids, np.tile(VECTOR_D, (len(ids), 1)))
    store.publish_version(version)
    return version


def all_steps(catch_up: CatchUp, work: Work) -> None:
    for _ in range(100):
        work.now += 100
        if not catch_up.due:
            return
        catch_up.step()
    pytest.fail("it never ends")


def test_the_archive_is_caught_up_oldest_first_and_once(catch_up: CatchUp, work: Work, store: Store) -> None:
    ids = store.add(pictures(range(10)))
    version = version_of(store, ids[7:9])
    catch_up.begin(version)
    all_steps(catch_up, work)
    assert work.done == [(version, ids[:3]), (version, ids[3:4]), (version, ids[4:7]), (version, ids[9:])]
    catch_up.begin(version)
    all_steps(catch_up, work)
    assert len(work.done) == 4


def test_the_innate_network_has_nothing_to_catch_up(catch_up: CatchUp, work: Work, store: Store) -> None:
    store.add(pictures(range(3)))
    catch_up.begin(1)
    assert not catch_up.due


def test_a_share_of_nothing_is_never_due(queries: Queries, store: Store, work: Work) -> None:
    ids = store.add(pictures(range(3)))
    none = CatchUp(queries, work, batch=3, share=0.0, clock=work.clock)
    none.begin(version_of(store, ids[:1]))
    assert not none.due


def test_it_rests_as_long_as_its_share_asks(catch_up: CatchUp, work: Work, store: Store) -> None:
    ids = store.add(pictures(range(8)))
    catch_up.begin(version_of(store, ids[:1]))
    catch_up.step()
    work.now += 3 * TOOK_S - 0.1
    assert not catch_up.due
    work.now += 0.2
    assert catch_up.due


def test_a_newer_version_begins_at_the_beginning(catch_up: CatchUp, work: Work, store: Store) -> None:
    ids = store.add(pictures(range(6)))
    catch_up.begin(version_of(store, ids[5:]))
    catch_up.step()
    newer = version_of(store, [])
    catch_up.begin(newer)
    all_steps(catch_up, work)
    assert sorted(i for version, some in work.done for i in some if version == newer) == ids


def test_what_fails_is_done_again(catch_up: CatchUp, work: Work, store: Store) -> None:
    ids = store.add(pictures(range(3)))
    catch_up.begin(version_of(store, []))
    work.fails = True
    with pytest.raises(OSError, match="away"):
        catch_up.step()
    work.fails = False
    all_steps(catch_up, work)
    assert [some for _, some in work.done] == [ids]
