"""A PostgreSQL server for tests: found on this machine, started on a free port of its own, gone with the tests.

Its defaults are set against us (transactions are serializable, times are those of Newfoundland), because whoever gives
us a database may have set them so.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from storage.engine import open_engine
from storage.migrate import migrate
from storage.schema import SCHEMA_VERSIONS, counters, metadata

USER, PASSWORD = "taxon", "not for logs"
START_S, STOP_S = 60, 30
TRIES = 3
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "America/St_Johns",
    "default_transaction_isolation": "serializable",
}

EMPTY = ";".join((
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    *(f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables) if table is not counters),
    "UPDATE counters SET value = CASE name WHEN 'next_cluster' THEN 1 WHEN 'next_version' THEN 2 ELSE 0 END",
    f"UPDATE alembic_version SET version_num = '{SCHEMA_VERSIONS[-1]}'",
    "SELECT setval(seqrelid, 1, false) FROM pg_sequence",
))  # fmt: skip


def binaries() -> Path | None:
    """The folder of the server's programs, of the newest version; None where there is none."""
    on_path = shutil.which("initdb")
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    found = [Path(on_path).resolve()] if on_path else installed
    return next((program.parent for program in reversed(found) if (program.parent / "postgres").is_file()), None)


def _version(program: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in program.parts[-3].split(".") if part.isdigit())


@dataclass
class Server:
    """A running server, and databases on it."""

    port: int
    home: Path
    programs: Path = Path()
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=count)
    _empty: list[str] = field(default_factory=list)

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{user}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """End sessions, then the server ("fast")."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def start(self) -> None:
        """Start it again, on the same port."""
        self.process, _ = _start(self.programs, self.home, _unprivileged(), self.port)

    @contextmanager
    def database(self, options: str = "") -> Iterator[str]:
        """The name of a new database without tables, for as long as the context lasts."""
        name = self._create(options)
        yield name
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of a migrated database without rows. It is emptied for the next one: files are what takes time."""
        name = self._empty.pop() if self._empty else self._migrated()
        yield self.url(name)
        self.execute(EMPTY, name)
        self._empty.append(name)

    def _migrated(self) -> str:
        name = self._create()
        engine = open_engine(self.url(name))
        migrate(engine)
        engine.dispose()
        return name

    def _create(self, options: str = "") -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return name

    def holds(self, secret: bytes) -> bool:
        """Whether these bytes lie anywhere in the files of tables."""
        return any(secret in file.read_bytes() for file in (self.home / "data" / "base").rglob("*") if file.is_file())

    def execute(self, statement: str, database: str = "postgres") -> None:
        url = self.url(database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server in a temporary folder, for as long as the context lasts."""
    # not below pytest's folder: that is root's alone, and the server does not run as root
    with tempfile.TemporaryDirectory(prefix="taxon-postgresql-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        (home / "password").write_text(PASSWORD)
        user = _unprivileged()
        if user:
            for path in (home, home / "password"):
                shutil.chown(path, user)
        _initialise(programs, home, user)
        process, port = _start(programs, home, user)
        server = Server(port, home, programs, process)
        try:
            yield server
        finally:
            server.stop()


def _unprivileged() -> str | None:
    """Whose the server is, where we are root; it refuses to be root's."""
    if os.getuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)


def _initialise(programs: Path, home: Path, user: str | None) -> None:
    options = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--username={USER}"]
    files = [f"--pgdata={home / 'data'}", f"--pwfile={home / 'password'}"]
    done = subprocess.run([programs / "initdb", *options, *files], capture_output=True, text=True, **_as(user))
    assert done.returncode == 0, done.stderr


def _start(
    programs: Path, home: Path, user: str | None, port: int | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    # with the tests killed, it would stay for ever
    setpriv = shutil.which("setpriv")
    dies_with_us: list[str | Path] = [setpriv, "--pdeathsig", "INT"] if setpriv else []
    log = home / "log"
    for _ in range(TRIES):
        port = port or _free_port()
        command = [*dies_with_us, programs / "postgres", "-D", home / "data", "-p", str(port), *settings]
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **_as(user))
        if _answers(process, Server(port, home).url("postgres")):
            return process, port
    raise AssertionError(f"PostgreSQL does not start:\n{log.read_text(errors='replace')}")


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether the server is there; False when it has ended, because somebody else took the port."""
    deadline = time.monotonic() + START_S
    while process.poll() is None:
        try:
            psycopg.connect(url.replace("+psycopg", ""), connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                process.kill()
                raise
            time.sleep(0.05)
        else:
            return True
    return False


def _as(user: str | None) -> dict[str, Any]:
    return {"cwd": "/"} | ({"user": user, "group": _group(user), "extra_groups": []} if user else {})


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
