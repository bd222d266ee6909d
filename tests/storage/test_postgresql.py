"""PostgreSQL alone: what is said when the server does not let us in, one agent, orders that the server may have."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from storage.engine import open_engine, scrub, sole_agent, writing
from storage.errors import StorageError, StoreLocked, Superseded, Unreachable
from storage.hashes import picture_ids
from storage.migrate import check_schema, migrate
from storage.queries import Queries
from storage.store import Store
from tests.factories import picture, pictures
from tests.postgres import PASSWORD, Server
from tests.storage.backends import on_postgresql

pytestmark = on_postgresql


@pytest.fixture(autouse=True)
def _(backend: str) -> None:
    """All of these want a server."""


def closed_port(server: Server) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return replace(server, port=probe.getsockname()[1]).url("postgres")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (closed_port, "start the server, or correct host and port"),
        (lambda server: server.url("postgres", password="wr%40ng"), "correct user and password"),
        (lambda server: server.url("postgres", user="nobody_known"), "correct user and password"),
        (lambda server: server.url("no_such_database"), "make it with `createdb`"),
    ],
    ids=["no server", "wrong password", "unknown user", "no database"],
)
def test_a_server_that_lets_nobody_in_is_one_line(server: Server, address: Callable[[Server], str], says: str) -> None:
    with pytest.raises(Unreachable) as told:
        check_schema(open_engine(address(server), read_only=True))
    message = str(told.value)
    assert told.value.exit_code == 3
    assert says in message
    assert "\n" not in message
    assert "cannot be opened: " in message
    assert all(secret not in message for secret in (PASSWORD, PASSWORD.replace(" ", "%20"), "wr%40ng", "wr@ng"))


def test_a_missing_driver_is_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StorageError, match=r"pip install 'psycopg\[binary\]'") as told:
        open_engine("postgresql+psycopg://me:secret@host/name")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_short_spellings_mean_the_same_driver(url: str, scheme: str) -> None:
    engine = open_engine(url.replace("postgresql+psycopg", scheme))
    check_schema(engine)
    engine.dispose()


def cut_off(server: Server) -> None:
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'taxon' AND pid <> pg_backend_pid()"
    )


def test_a_connection_that_was_cut_is_made_anew(engine: Engine, store: Store, server: Server) -> None:
    cut_off(server)
    assert len(store.add(pictures(range(2)))) == 2


def test_a_second_agent_is_refused_by_name(url: str) -> None:
    one, other = open_engine(url), open_engine(url)
    with sole_agent(one):
        with (
            pytest.raises(StoreLocked, match=r"belongs to a running agent \(taxon, pid \d+ on .+\).+ingest_as"),
            sole_agent(other),
        ):
            pass
        assert len(Store(other).add([picture(1)])) == 1  # people may correct it meanwhile
    with sole_agent(other):
        pass
    one.dispose()
    other.dispose()


def test_an_agent_that_was_cut_off_is_the_only_one_again(url: str, server: Server) -> None:
    one, other = open_engine(url), open_engine(url)
    with sole_agent(one) as still_ours:
        cut_off(server)
        still_ours()
        with pytest.raises(StoreLocked), sole_agent(other):
            pass
        still_ours()
    one.dispose()
    other.dispose()


def test_an_agent_that_was_cut_off_gives_way_to_the_one_that_came(url: str, server: Server) -> None:
    one, other = open_engine(url), open_engine(f"{url}?application_name=taxon+elsewhere")
    with sole_agent(one) as still_ours:
        cut_off(server)
        with sole_agent(other), pytest.raises(Superseded, match=r"running agent \(taxon elsewhere\).*cut off"):
            still_ours()
        still_ours()
    one.dispose()
    other.dispose()


def test_an_agent_waits_for_its_own_old_session_to_end(url: str, server: Server) -> None:
    one, old = open_engine(url), open_engine(url)
    with sole_agent(one) as still_ours:
        cut_off(server)
        with sole_agent(old), pytest.raises(StoreLocked):
            still_ours()
        still_ours()
    one.dispose()
    old.dispose()


def test_agents_of_different_names_do_not_keep_each_other_out(url: str) -> None:
    engines = [open_engine(url) for _ in range(4)]
    with (
        sole_agent(engines[0]), sole_agent(engines[1], "gate"), sole_agent(engines[2], "yard"),
        pytest.raises(StoreLocked, match="as 'gate' belongs to a running agent"), sole_agent(engines[3], "gate"),
    ):  # fmt: skip
        pass
    for engine in engines:
        engine.dispose()


def test_a_writer_that_falls_silent_holds_up_nobody_for_ever(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgresql.IDLE_S", 0.2)
    suspended = open_engine(url)
    with suppress(SQLAlchemyError), writing(suspended).begin() as connection:
        assert len(store.add([picture(1)])) == 1  # waits for it
        with pytest.raises(StoreLocked, match="silent"):
            connection.execute(text("SELECT 1"))
    assert len(Store(suspended).add([picture(2)])) == 1
    suspended.dispose()


def test_both_ends_notice_a_peer_that_vanished(engine: Engine) -> None:
    with engine.connect() as connection:
        idle_s, every_s, tries = (
            int(connection.execute(text(f"SHOW tcp_keepalives_{name}")).scalar_one())
            for name in ("idle", "interval", "count")
        )
    assert idle_s + every_s * tries <= 60


def test_a_killed_agent_holds_nothing(url: str) -> None:
    script = (
        "import os, sys\n"
        "from storage.engine import open_engine, sole_agent\n"
        "sole_agent(open_engine(sys.argv[1])).__enter__()\n"
        "os._exit(9)\n"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script, url], cwd=root, check=False).returncode == 9
    engine = open_engine(url)
    with sole_agent(engine):
        pass
    engine.dispose()


def test_times_are_those_of_utc_however_early(store: Store, queries: Queries, engine: Engine) -> None:
    first_day = datetime(1, 1, 1, tzinfo=UTC)
    store.add([replace(picture(1), captured_at=first_day)])
    assert queries.pictures()[0].captured_at == first_day
    with engine.connect() as connection:
        assert connection.execute(text("SHOW timezone")).scalar() == "UTC"


@pytest.fixture
def danish(server: Server) -> Iterator[Engine]:
    """A database without tables, in which `aa` comes after `z`."""
    with ExitStack() as stack:
        try:
            name = stack.enter_context(server.database("LOCALE_PROVIDER icu ICU_LOCALE 'da-DK'"))
        except psycopg.Error as error:
            pytest.skip(f"this server knows no Danish: {error}")
        engine = open_engine(server.url(name))
        stack.callback(engine.dispose)
        yield engine


def test_the_beginning_of_a_hash_is_found_in_any_language(danish: Engine) -> None:
    migrate(danish)
    found = Store(danish).add([replace(picture(1), sha256="012345" + "a" * 58)])
    with danish.connect() as connection:
        assert connection.execute(text("SELECT 'aa' > 'z'")).scalar()
        assert picture_ids(connection, ["012345a"]) == found


def test_a_database_that_cannot_hold_every_name_is_refused(server: Server) -> None:
    with server.database("ENCODING 'LATIN1'") as name:
        engine = open_engine(server.url(name))
        with pytest.raises(StorageError, match="encoded in LATIN1; make one with `createdb -E UTF8"):
            migrate(engine)
        engine.dispose()


def test_a_user_who_may_not_make_tables_is_told(server: Server) -> None:
    with server.database() as name:
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC", name)
        engine = open_engine(server.url(name, user="guest", password="guest"))
        with pytest.raises(StorageError, match=r"permission denied.*make the user of storage\.url its owner"):
            migrate(engine)
        engine.dispose()
        server.execute("DROP ROLE guest")


def test_scrubbing_waits_for_nobody(store: Store, engine: Engine) -> None:
    with engine.connect() as reader:
        reader.execute(text("LOCK TABLE pictures IN ACCESS EXCLUSIVE MODE"))
        scrub(engine, ["pictures", "locations"])
