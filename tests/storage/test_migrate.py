"""The schema: the same from scripts and from tables, refused when it is of another age, copied before it changes."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from storage.engine import database_url, open_engine, writing
from storage.errors import SchemaError
from storage.migrate import SCRIPTS, check_schema, migrate
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState, Event, EventType
from storage.schema import COUNTERS, SCHEMA_VERSIONS, corrections, metadata
from storage.store import Store
from tests.factories import pictures, rejection, round_of, sha
from tests.storage.backends import on_sqlite

NEXT = """
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE TABLE added (id INTEGER)")
"""


def set_version(engine: Engine, version: str) -> None:
    with writing(engine).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def excluding(engine: Engine) -> tuple[str, ...]:
    """What is unique by another kind of constraint on a server."""
    return () if engine.dialect.name == "sqlite" else ("uq_locations_present_uri", "uq_rejections_uri")


def test_scripts_make_the_tables_of_the_schema(engine: Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differs = [one for one in compare_metadata(context, metadata) if one[1].name not in excluding(engine)]
        assert differs == []
        counters = set(connection.execute(text("SELECT name FROM counters")).scalars())
    assert counters == set(COUNTERS)


@pytest.mark.parametrize(
    "twice",
    ["INSERT INTO locations (picture_id, uri, source, seen_at) SELECT picture_id, uri, source, seen_at FROM locations",
     "INSERT INTO rejections (uri, source, sha256, captured_at, reason, attempts, first_at, last_at)"
     " SELECT uri, source, sha256, captured_at, reason, attempts, first_at, last_at FROM rejections"],
)  # fmt: skip
def test_the_database_itself_keeps_two_things_from_lying_at_one_place(store: Store, engine: Engine, twice: str) -> None:
    store.add(pictures([1]), rejections=[rejection("/broken.jpg")])
    with pytest.raises(IntegrityError), writing(engine).begin() as connection:
        connection.execute(text(twice))


def test_known_versions_are_those_of_the_scripts() -> None:
    found = sorted(path.name[:4] for path in (SCRIPTS / "versions").glob("0*.py"))
    assert tuple(found) == SCHEMA_VERSIONS


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path))
    migrate(engine)
    before = (tmp_path / "taxon.db").read_bytes()
    migrate(engine)
    check_schema(engine)
    assert (tmp_path / "taxon.db").read_bytes() == before
    assert not list(tmp_path.glob("*.schema-*"))


def test_missing_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="`run`"):
        check_schema(open_engine(database_url(tmp_path)))


def test_newer_schema_is_refused(engine: Engine) -> None:
    set_version(engine, "9999")
    for refuse in (check_schema, migrate):
        with pytest.raises(SchemaError, match="newer than this program's"):
            refuse(engine)


def test_older_schema_is_refused_by_readers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.migrate.SCHEMA_VERSIONS", ("0006", "0007"))
    with pytest.raises(SchemaError, match="`migrate`"):
        check_schema(engine)


@on_sqlite
def test_older_schema_is_copied_and_upgraded(engine: Engine, store: Store, data: Path, tmp_path: Path) -> None:
    store.add(pictures(range(3)))
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "0007_next.py").write_text(NEXT)
    migrate(engine, scripts)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM added")).scalar() == 0
    with sqlite3.connect(data / "taxon.db.schema-0006") as copy:
        assert copy.execute("SELECT count(*) FROM pictures").fetchone() == (3,)
        assert copy.execute("SELECT version_num FROM alembic_version").fetchone() == ("0006",)
    copy.close()


def test_what_went_along_with_a_merge_in_an_older_database_does_so_from_its_birth_on(
    store: Store, queries: Queries, engine: Engine
) -> None:
    ids = store.add(pictures(range(4)))
    store.allocate_clusters(3)
    store.add_clustering(round_of({ids[0]: 1, ids[1]: 1, ids[2]: 2, ids[3]: 2}))
    event = store.merge([1], 2, "anna")
    born = ClusterRecord(3, ClusterState.ACTIVE, parents=(1,))
    store.add_clustering(round_of(dict.fromkeys(ids, 2), clusters=[*queries.living_clusters(), born]))
    of_merge = select(corrections.c.payload).where(corrections.c.event_id == event)
    with writing(engine).begin() as connection:
        now = connection.execute(of_merge).scalar_one()
        assert now["offspring"] == [[3, queries.revision()]]
        connection.execute(update(corrections).values(payload={**now, "offspring": [3]}))
    set_version(engine, "0005")
    migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(of_merge).scalar_one() == now
    assert queries.seen_as([3]) == [2]


def test_failed_upgrade_leaves_the_old_schema(engine: Engine, tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "0007_next.py").write_text(NEXT + '    raise RuntimeError("no")\n')
    with pytest.raises(RuntimeError):
        migrate(engine, scripts)
    check_schema(engine)
    with engine.connect() as connection:
        assert not inspect(connection).has_table("added")


def test_views_answer(store: Store, engine: Engine) -> None:
    ids = store.add(pictures(range(4)))
    store.add_clustering(round_of({ids[0]: 1, ids[1]: 1, ids[2]: None}))
    records = [ClusterRecord(1, ClusterState.ENDED), ClusterRecord(2, ClusterState.ACTIVE, parents=(1,))]
    store.add_clustering(
        round_of({ids[0]: 2, ids[1]: 2}, clusters=records, events=[Event(EventType.ABSORBED, 1, (2,))])
    )
    with engine.connect() as connection:
        current = connection.execute(text("SELECT status, cluster_id FROM v_current ORDER BY picture_id")).all()
        kinds = connection.execute(text("SELECT id, state, size FROM v_clusters ORDER BY id")).all()
        sizes = connection.execute(text("SELECT revision, cluster_id, size FROM v_timeline ORDER BY 1, 2")).all()
        edges = connection.execute(text("SELECT relation, parent_id, child_id FROM v_lineage ORDER BY 1")).all()
    assert current == [("clustered", 2), ("clustered", 2), ("unassigned", None), ("pending", None)]
    assert kinds == [(1, "ended", 0), (2, "active", 2)]
    assert sizes == [(1, 1, 2), (2, 1, 0), (2, 2, 2)]
    assert edges == [("absorbed", 1, 2), ("split", 1, 2)]


def test_what_was_undone_is_no_lineage(store: Store, engine: Engine) -> None:
    ids = store.add(pictures(range(6)))
    store.allocate_clusters(2)
    store.add_clustering(round_of({picture: 1 + i // 3 for i, picture in enumerate(ids)}))
    divided, made = store.divide(1, [sha(0)], "anna")
    merged = store.merge([2], 1, "anna")
    both = [("merged", 2, 1), ("split", 1, made)]
    assert lineage(engine) == both
    again = [store.undo(event, "anna") for event in (divided, merged)]
    assert lineage(engine) == []
    for event in again:
        store.undo(event, "anna")
    assert lineage(engine) == both


def lineage(engine: Engine) -> list[tuple[str, int, int]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT relation, parent_id, child_id FROM v_lineage ORDER BY 1"))
        return [(row.relation, row.parent_id, row.child_id) for row in rows]
