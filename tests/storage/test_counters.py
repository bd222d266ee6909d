"""Counters and sizes equal a recount, whatever happened in whatever order."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from storage import counters
from storage.engine import open_engine
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState
from storage.store import Store
from tests.factories import Clock, assign, picture, rejection, round_of
from tests.storage.conftest import Fresh

NUMBERS = st.integers(0, 7)
URIS = st.sampled_from(["/a", "/b", "/c", "/d"])
KINDS = st.dictionaries(st.integers(1, 9), st.sampled_from([None, 1, 2, 3]), max_size=9)

OPERATIONS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.tuples(NUMBERS, URIS), max_size=5), st.lists(URIS, max_size=2)),
    st.tuples(st.just("missing"), st.lists(URIS, max_size=3), st.none()),
    st.tuples(st.just("round"), KINDS, st.booleans()),
    st.tuples(st.just("revise"), KINDS, st.booleans()),
)
EVERY_KIND = [ClusterRecord(i, ClusterState.ACTIVE) for i in (1, 2, 3)]
SIZES = """
SELECT c.id, COUNT(a.id), COALESCE(SUM(CASE WHEN a.core THEN 1 ELSE 0 END), 0), MIN(p.ingested_at), MAX(p.ingested_at)
FROM clusters c LEFT JOIN assignments a ON a.cluster_id = c.id AND a.valid_to IS NULL
LEFT JOIN pictures p ON p.id = a.picture_id GROUP BY c.id ORDER BY c.id
"""
KEPT = "SELECT id, size, core_size, first_seen, last_seen FROM clusters ORDER BY id"
OVERLAPS = """
SELECT COUNT(*) FROM assignments a JOIN assignments b ON a.picture_id = b.picture_id AND a.id < b.id
WHERE a.valid_from < COALESCE(b.valid_to, 1e9) AND b.valid_from < COALESCE(a.valid_to, 1e9)
"""


def perform(store: Store, clock: Clock, operation: tuple[str, object, object]) -> None:
    name, first, second = operation
    clock.tick()
    if name == "add":
        store.add([picture(n, uri) for n, uri in first], rejections=[rejection(uri) for uri in second])  # type: ignore[attr-defined]
    elif name == "missing":
        store.mark_missing(first)  # type: ignore[arg-type]
    elif name == "round":
        through = Queries(store._engine).last_picture_id()
        store.add_clustering(round_of(first, clusters=EVERY_KIND, through=through, core=second))  # type: ignore[arg-type]
    else:
        store.revise(assign(first, core=second), EVERY_KIND, actor="anna")  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPERATIONS, max_size=12))
def test_counters_equal_a_recount(fresh: Fresh, operations: list[tuple[str, object, object]]) -> None:
    with fresh() as url:
        engine = open_engine(url)
        clock = Clock()
        store = Store(engine, clock)
        store.ensure_born({})
        for operation in operations:
            perform(store, clock, operation)
        with engine.connect() as connection:
            kept = counters.read(connection)
            counted = counters.recount(connection)
            assert {name: kept[name] for name in counted} == counted
            assert connection.execute(text(KEPT)).all() == connection.execute(text(SIZES)).all()
            assert connection.execute(text(OVERLAPS)).scalar() == 0, "a picture is at two places at once"
        rows = list(Queries(engine).export_rows())
        assert len({row.uri for row in rows}) == len(rows), "two things lie at one place"
        assert rows == list(Queries(engine).export_rows(as_of=clock.now))
        engine.dispose()
