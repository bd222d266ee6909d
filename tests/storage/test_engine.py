"""Opening: several processes at once, databases that nobody has open, and errors that name the remedy."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from storage import counters
from storage.engine import (
    database_url,
    default_url,
    open_engine,
    pulse,
    read_only_uri,
    reading,
    require_same_database,
    writing,
)
from storage.errors import NotFound, StorageError, StoreLocked
from storage.migrate import check_schema
from storage.queries import Queries
from storage.store import Store
from tests.factories import picture, pictures, round_of, sha
from tests.storage.backends import on_sqlite

spawn = multiprocessing.get_context("spawn")


def write_pictures(url: str, start: int, n: int) -> None:
    store = Store(open_engine(url))
    for number in range(start, start + n):
        store.add([picture(number), picture(number % 7)])


def write_rounds(url: str, ids: list[int], n: int) -> None:
    store = Store(open_engine(url))
    for number in range(n):
        store.add_clustering(round_of(dict.fromkeys(ids, 1 + number % 2)))


def read_all(url: str, stop: ProcessEvent) -> None:
    queries = Queries(open_engine(url, read_only=True))
    questions = 0
    while not stop.is_set():
        sizes = {kind.size for kind in queries.clusters()} - {0}
        assert sizes <= {20}, f"half a round is visible: {sizes}"
        queries.status()
        list(queries.export_rows())
        questions += 1
    sys.exit(0 if questions > 3 else 1)


def test_two_writers_and_a_reader_never_fail(store: Store, queries: Queries, url: str) -> None:
    ids = store.add(pictures(range(1000, 1020)))
    stop = spawn.Event()
    reader = spawn.Process(target=read_all, args=(url, stop))
    writers = [
        spawn.Process(target=write_pictures, args=(url, 0, 60)),
        spawn.Process(target=write_rounds, args=(url, ids, 30)),
    ]
    for process in (reader, *writers):
        process.start()
    for process in writers:
        process.join(60)
    stop.set()
    reader.join(30)
    assert [process.exitcode for process in (reader, *writers)] == [0, 0, 0]
    assert queries.status().pictures == 80
    found = [one.id for one in queries.pictures_after(0, 100)]
    assert found == sorted(set(found))


@on_sqlite
def test_reading_a_database_that_nobody_has_open(store: Store, engine: object, data: Path) -> None:
    store.add([picture(1)])
    store._engine.dispose()
    sidecars = [data / "taxon.db-wal", data / "taxon.db-shm"]
    assert not any(path.exists() for path in sidecars)
    queries = Queries(open_engine(database_url(data), read_only=True))
    assert queries.status().pictures == 1


@on_sqlite
def test_reading_after_the_writer_was_killed(store: Store, data: Path) -> None:
    script = (
        "import os, sys\n"
        "from storage.engine import open_engine\n"
        "from storage.store import Store\n"
        "from tests.factories import picture\n"
        "Store(open_engine(sys.argv[1])).add([picture(1), picture(2)])\n"
        "os._exit(9)\n"
    )
    store._engine.dispose()
    killed = subprocess.run(
        [sys.executable, "-c", script, database_url(data)], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == 9
    assert (data / "taxon.db-wal").stat().st_size > 0
    queries = Queries(open_engine(database_url(data), read_only=True))
    assert [one.sha256 for one in queries.pictures_after(0, 9)] == [sha(1), sha(2)]


def test_reader_cannot_write(store: Store, url: str) -> None:
    reader = open_engine(url, read_only=True)
    with pytest.raises(StorageError, match="may not be written"):
        Store(reader).add([picture(1)])
    reader.dispose()


def test_reading_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="run"):
        open_engine(database_url(tmp_path), read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_odd_characters_in_the_path(tmp_path: Path, blank: bytes) -> None:
    data = tmp_path / "50% off? #1 ü"
    data.mkdir()
    (data / "taxon.db").write_bytes(blank)
    check_schema(open_engine(database_url(data)))
    check_schema(open_engine(database_url(data), read_only=True))


def test_folder_that_cannot_be_written_is_read_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert read_only_uri(data / "taxon.db").endswith("&immutable=1")
    check_schema(open_engine(database_url(data), read_only=True))
    (data / "taxon.db-wal").write_bytes(b"x")
    assert not read_only_uri(data / "taxon.db").endswith("&immutable=1")


def test_locked_database_is_told_in_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.engine.BUSY_S", 0.05)
    one, other = open_engine(url), open_engine(url)
    with writing(one).begin(), pytest.raises(StoreLocked, match="locked by another program") as told:
        Store(other).set_state("a", 1)
    assert "\n" not in str(told.value)
    assert told.value.exit_code == 3
    one.dispose()
    other.dispose()


def test_damaged_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taxon.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="damaged or not a database"):
        check_schema(open_engine(database_url(tmp_path), read_only=True))


def test_readers_take_no_write_lock_and_see_one_moment(engine: Engine) -> None:
    counted = text("SELECT value FROM counters WHERE name = 'pictures'")
    with reading(engine).connect() as reader, reader.begin():
        assert reader.execute(counted).scalar() == 0
        with writing(engine).begin() as writer:
            writer.execute(text("UPDATE counters SET value = 5 WHERE name = 'pictures'"))
        assert reader.execute(counted).scalar() == 0


def test_a_writer_that_waited_sees_what_it_waited_for(engine: Engine) -> None:
    taken: list[int] = []

    def take() -> None:
        with writing(engine).begin() as connection:
            taken.append(counters.take(connection, "next_cluster"))

    with writing(engine).begin() as first:
        waiting = threading.Thread(target=take)
        waiting.start()
        waiting.join(0.2)
        assert counters.take(first, "next_cluster") == 1
        assert taken == []
    waiting.join(30)
    assert taken == [2]


def test_writer_keeps_a_wal_and_foreign_keys(data: Path) -> None:
    with open_engine(database_url(data)).connect() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")]
    assert pragmas == ["wal", 1]


def test_url_comes_from_the_effective_configuration(tmp_path: Path) -> None:
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/taxon.db"
    (tmp_path / "taxon.yaml").write_text("seed: 1\nstorage:\n  url: ''\n")
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/taxon.db"
    (tmp_path / "taxon.yaml").write_text("storage: {url: 'sqlite:////elsewhere.db'}\n")
    assert database_url(tmp_path) == "sqlite:////elsewhere.db"
    (tmp_path / "taxon.yaml").write_text("storage: [\n")
    with pytest.raises(StorageError, match=r"taxon\.yaml cannot be read"):
        database_url(tmp_path)


def test_a_data_directory_stays_with_its_database(tmp_path: Path) -> None:
    on_server = "postgresql+psycopg://me:secret@host/name"
    require_same_database(on_server, tmp_path)
    (tmp_path / "taxon.yaml").write_text(f"storage: {{url: '{on_server}'}}\n")
    require_same_database("postgresql://other:changed@host:5432/name?sslmode=require", tmp_path)
    for other in (default_url(tmp_path), "postgresql://me@host/another"):
        with pytest.raises(StorageError, match="was begun with the database") as told:
            require_same_database(other, tmp_path)
        assert "secret" not in str(told.value)
    (tmp_path / "taxon.yaml").unlink()
    (tmp_path / "taxon.db").touch()
    require_same_database(default_url(tmp_path), tmp_path)
    with pytest.raises(StorageError, match=r"taxon\.db"):
        require_same_database(on_server, tmp_path)


@pytest.mark.parametrize(
    "address", ["nonsense", "quux://me:secret@host/name", "oracle+quux://me:secret@host/name", "mysql://me:secret@host/n",
                "postgresql+psycopg2://me:secret@host/name", "postgresql+psycopg://me:secret@host:port/name"],
)  # fmt: skip
def test_unknown_url_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(StorageError, match=r"storage\.url") as told:
        open_engine(address)
    assert "secret" not in str(told.value)


def test_reading_imports_nothing_that_it_does_not_need() -> None:
    script = (
        "import sys, storage.queries, storage.store, storage.export, storage.migrate, storage.lock\n"
        "heavy = ('torch', 'alembic', 'pandas', 'psycopg', 'pydantic', 'yaml')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", script], cwd=root, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


def test_sqlite_is_new_enough() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35), "RETURNING"


def test_the_pulse_is_another_after_each_write_and_rests_in_between(engine: Engine, store: Store) -> None:
    with engine.connect() as connection:
        seen = [pulse(connection)]
        assert pulse(connection) == seen[0]
        for write in (lambda: store.add([picture(1)]), lambda: store.set_state("queue", 1)):
            write()
            seen.append(pulse(connection))
            assert pulse(connection) == seen[-1]
        with engine.connect() as other, other.begin():
            other.execute(text("SELECT COUNT(*) FROM pictures"))
        assert pulse(connection) == seen[-1], "reading is no writing"
    assert len(set(seen)) == 3
