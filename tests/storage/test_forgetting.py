"""Forgotten for good: nothing of the picture is left, not even on the disk, and copies of it stay out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, func, select, text

from storage import counters
from storage.engine import BUSY_S, database_url, open_engine
from storage.errors import NotFound, Outdated, Refused
from storage.forgetting import TELLING
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, EventType
from storage.schema import cluster_rounds, clusters, corrections, metadata
from storage.states import SCRUB
from storage.store import Store
from tests.factories import assign, location, picture, pictures, rejection, round_of, sha
from tests.postgres import Server
from tests.storage.backends import on_postgresql, on_sqlite

SECRET = b"\xff\xd8" + b"a face that nobody may keep " * 40


@pytest.fixture
def ids(store: Store) -> list[int]:
    """Six pictures, the first of them private: two kinds, and one without."""
    records = pictures(range(6))
    ids = store.add([replace(records[0], thumbnail=SECRET), *records[1:]])
    store.allocate_clusters(2)
    kinds = [ClusterRecord(1, ClusterState.ACTIVE, exemplars=(ids[0], ids[1])), ClusterRecord(2, ClusterState.ACTIVE)]
    wanted = {ids[0]: 1, ids[1]: 1, ids[2]: 2, ids[3]: 2, ids[4]: None}
    store.add_clustering(round_of(wanted, clusters=kinds))
    return ids


def rows_about(engine: Engine, picture_id: int) -> int:
    """Rows of all tables that name the picture."""
    total = 0
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if "picture_id" in table.c:
                query = select(func.count()).select_from(table).where(table.c.picture_id == picture_id)
                total += connection.execute(query).scalar_one()
    return total


def on_disk(data: Path) -> bool:
    """Whether anything of the private picture lies in the database's files."""
    left = b"".join(path.read_bytes() for path in data.glob("taxon.db*"))
    return any(part in left for part in (SECRET, b"nobody may keep", sha(0).encode()))


def test_no_row_is_left(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    store.move([sha(0)], 2, "anna")
    store.set_layout(1, ids[:2], np.ones((2, 2), dtype=np.float32))
    assert rows_about(engine, ids[0]) > 5
    event = store.forget([sha(0)[:10]], "bob")
    assert rows_about(engine, ids[0]) == 0
    store.set_layout(1, ids[:2], np.ones((2, 2), dtype=np.float32))
    assert np.isnan(queries.layout(ids[:1])).all()
    told = queries.history()[-1]
    assert (told.id, told.type, told.actor, told.detail) == (event, EventType.FORGOTTEN, "bob", {"pictures": 1})
    with engine.connect() as connection:
        assert connection.execute(select(corrections.c.payload)).scalar_one()["pictures"] == []


@on_sqlite
def test_no_byte_is_left(store: Store, data: Path, ids: list[int]) -> None:
    assert on_disk(data)
    store.forget([sha(0)], "bob")
    assert store.scrub()
    assert not on_disk(data)


@on_sqlite
def test_a_reader_delays_scrubbing_and_does_not_stop_it(
    store: Store, queries: Queries, data: Path, ids: list[int]
) -> None:
    reader = Queries(open_engine(database_url(data), read_only=True))
    rows = reader.export_rows()
    next(rows)
    store.forget([sha(0)], "bob")
    started = time.monotonic()
    assert not store.scrub()
    assert time.monotonic() - started < 10
    assert on_disk(data)
    rows.close()  # type: ignore[attr-defined]
    assert queries.state(SCRUB) is not None
    assert Store(store._engine).scrub()
    assert not on_disk(data)
    assert queries.state(SCRUB) is None


@on_sqlite
def test_writers_wait_as_long_as_ever_after_scrubbing(store: Store, engine: Engine, ids: list[int]) -> None:
    store.forget([sha(0)], "bob")
    store.scrub()
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar_one() == BUSY_S * 1000


def test_scrubbing_is_due_from_forgetting_until_it_was_done(
    store: Store, queries: Queries, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    scrubbed: list[object] = []

    def forget_more(engine: Engine, tables: object) -> bool:
        scrubbed.append(tables)
        if len(scrubbed) == 1:
            store.forget([sha(1)], "bob")
        return True

    monkeypatch.setattr("storage.store.scrub", forget_more)
    assert store.scrub()
    assert not scrubbed
    event = store.forget([sha(0)], "bob")
    assert queries.state(SCRUB) == event
    store.scrub()  # what is forgotten meanwhile needs another time
    assert queries.state(SCRUB) == event + 1
    store.scrub()
    store.scrub()
    assert len(scrubbed) == 2


@on_postgresql
def test_no_byte_is_left_once_the_tables_are_written_anew(
    store: Store, engine: Engine, server: Server, ids: list[int]
) -> None:
    at_once = engine.execution_options(isolation_level="AUTOCOMMIT")
    with at_once.connect() as connection:
        connection.execute(text("ANALYZE"))  # as autovacuum does, and keeps samples of what it sees
        connection.execute(text("CHECKPOINT"))
        assert server.holds(SECRET)
        store.forget([sha(0)], "bob")
        assert store.scrub()
        connection.execute(text(f"VACUUM (FULL, ANALYZE) {', '.join((*TELLING, 'pg_statistic'))}"))
        connection.execute(text("CHECKPOINT"))
        assert not server.holds(b"nobody may keep")
        assert not server.holds(sha(0).encode())


def test_sizes_and_counters_follow(store: Store, queries: Queries, engine: Engine, ids: list[int]) -> None:
    store.forget([sha(0), sha(4), sha(5)], "bob")
    assert [(kind.id, kind.size, kind.core_size, kind.exemplars) for kind in queries.clusters()] == [
        (1, 1, 1, (sha(1),)),
        (2, 2, 2, ()),
    ]
    status = queries.status()
    assert (status.pictures, status.pending, status.unassigned, status.behind) == (3, 0, 0, 0)
    with engine.connect() as connection:
        counted, kept = counters.recount(connection), counters.read(connection)
    assert all(kept[name] == value for name, value in counted.items())


def test_lists_of_exemplars_forget_too_wherever_the_picture_is_now(
    store: Store, engine: Engine, ids: list[int]
) -> None:
    store.move([sha(0)], 2, "anna")
    store.forget([sha(0)], "bob")
    with engine.connect() as connection:
        for table in (clusters, cluster_rounds):
            lists = connection.execute(select(table.c.exemplars)).scalars().all()
            assert not any(ids[0] in exemplars for exemplars in lists)


def test_a_copy_stays_out_and_is_told(store: Store, queries: Queries, ids: list[int]) -> None:
    store.forget([sha(0)], "bob")
    assert store.add([picture(0, "/pictures/copy.jpg"), picture(30)]) == [7]
    assert queries.existing([sha(0), sha(30)]) == {sha(30): 7}
    (rejected,) = queries.pictures(status="rejected")
    assert (rejected.uri, rejected.sha256) == ("/pictures/copy.jpg", "")
    assert "forgotten" in rejected.reason


def lie_and_rejected(queries: Queries) -> tuple[set[str], set[str]]:
    rows = queries.export_rows()
    here = {(row.uri, row.status == "rejected") for row in rows}
    return {uri for uri, rejected in here if not rejected}, {uri for uri, rejected in here if rejected}


@pytest.mark.parametrize("last", ["new", "forgotten"])
def test_what_came_last_to_a_place_is_there(store: Store, queries: Queries, ids: list[int], last: str) -> None:
    store.forget([sha(0)], "bob")
    both = [picture(0, "/place.jpg"), picture(30, "/place.jpg")]
    store.add(both if last == "new" else both[::-1])
    lie, rejected = lie_and_rejected(queries)
    assert ("/place.jpg" in lie, "/place.jpg" in rejected) == ((True, False) if last == "new" else (False, True))
    assert queries.status().rejected == len(rejected)
    assert sha(30) in queries.existing([sha(30)])


def test_a_stored_picture_keeps_its_place_where_no_order_is_known(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    store.forget([sha(0)], "bob")
    store.add(
        [picture(0, "/one.jpg"), picture(30, "/two.jpg")],
        repeats=[(sha(1), location("/one.jpg"))],
        rejections=[rejection("/two.jpg"), rejection("/three.jpg")],
    )
    lie, rejected = lie_and_rejected(queries)
    assert {"/one.jpg", "/two.jpg"} <= lie
    assert rejected == {"/three.jpg"}


def test_a_round_that_ran_meanwhile_is_repeated_without_it(store: Store, queries: Queries, ids: list[int]) -> None:
    base = queries.revision()
    store.forget([sha(0)], "bob")
    again = round_of(dict.fromkeys(ids, 1))
    with pytest.raises(Outdated):
        store.add_clustering(again, base=base)
    store.add_clustering(again)
    assert queries.assignments().picture_N.tolist() == ids[1:]


def test_votes_for_what_is_gone_are_dropped(store: Store, queries: Queries, ids: list[int]) -> None:
    store.forget([sha(5)], "bob")
    store.revise(assign({ids[5]: 1}), overruled=assign({ids[5]: 2}))
    assert ids[5] not in queries.assignments().picture_N


def test_it_cannot_be_undone_and_what_is_not_there_cannot_be_forgotten(store: Store, ids: list[int]) -> None:
    event = store.forget([sha(0)], "bob")
    with pytest.raises(Refused, match="for good"):
        store.undo(event, "bob")
    with pytest.raises(NotFound):
        store.forget([sha(1), sha(0)], "bob")


def test_the_past_is_asked_without_it(store: Store, queries: Queries, ids: list[int]) -> None:
    then = queries.history()[-1].at if queries.history() else None
    store.forget([sha(0)], "bob")
    assert [row.sha256 for row in queries.pictures(cluster=1, as_of=then)] == [sha(1)]
    assert queries.last_forgotten() == queries.history()[-1].id
