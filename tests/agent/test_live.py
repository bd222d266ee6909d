"""The live view says what the store says."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from agent.live import KINDS, live_view, view
from storage.engine import database_url, open_engine
from storage.migrate import migrate
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.store import Store
from tests.factories import pictures, round_of


@pytest.fixture
def doors(tmp_path: Path) -> Iterator[tuple[Store, Queries]]:
    engine = open_engine(database_url(tmp_path))
    migrate(engine)
    yield Store(engine), Queries(engine)
    engine.dispose()


def drawn(queries: Queries) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(view(queries))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_empty_store(doors: tuple[Store, Queries]) -> None:
    assert "no kinds yet" in drawn(doors[1])


def test_kinds_and_events(doors: tuple[Store, Queries]) -> None:
    store, queries = doors
    store.ensure_born({})
    ids = store.add(pictures(range(6)))
    kinds = list(store.allocate_clusters(KINDS + 2))
    events = [Event(EventType.EMERGED, kind) for kind in kinds[:2]]
    store.add_clustering(
        round_of(
            dict.fromkeys(ids, kinds[0]),
            clusters=[ClusterRecord(kind, ClusterState.ACTIVE, name="[bold]") for kind in kinds],
            events=events,
        )
    )
    store.set_state("learner_debt", 42)
    store.add_events([Event(EventType.PAUSED, actor="ada")])
    text = drawn(queries)
    assert "pictures 6" in text
    assert "views to learn 42" in text
    assert "learning paused" in text
    assert "emerged" in text
    assert "[bold]" in text
    assert "and 2 more kinds" in text


def test_hidden_kinds_are_left_out(doors: tuple[Store, Queries]) -> None:
    store, queries = doors
    store.ensure_born({})
    ids = store.add(pictures(range(6)))
    one, two = store.allocate_clusters(2)
    store.add_clustering(round_of({ids[0]: one, ids[1]: two}))
    store.rename(one, "moths", "anna")
    store.rename(two, "flies", "anna")
    store.hide(one, "anna")
    text = drawn(queries)
    assert "flies" in text
    assert "moths" not in text


def test_a_store_that_does_not_answer_does_not_end_the_view(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with live_view(Queries(open_engine(database_url(tmp_path))), console):
        pass
    assert isinstance(console.file, io.StringIO)
    assert "does not answer" in console.file.getvalue()
