"""Several machines on one database: one learns, others only take pictures in. Whoever is killed, nothing is lost."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from storage import counters
from storage.engine import open_engine
from storage.queries import Queries
from tests.e2e.conftest import Taxon, flags
from tests.pictures import FAMILIES, jpeg
from tests.postgres import Server

SMALL = ("encoder.backbone=small", "encoder.weights=none", "encoder.image_px=16", "inbox.batch=4")
LEARNS = ("learner.views_per_picture=6", "publish.every_s=5", "cluster.every=30", "cluster.idle_s=1")
PATIENCE_S = 180.0
TURNS, RESTART = 8, 4


class Machine(Taxon):
    """An agent with a data directory of its own, on a database that others share."""

    def __init__(self, home: Path, url: str, ingest_as: str = "") -> None:
        home.mkdir()
        super().__init__(home)
        self._settings = (f"storage.url={url}", *SMALL, *([f"ingest_as={ingest_as}"] if ingest_as else LEARNS))
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        self.process = self.start(*self._settings, learning=True)

    def attempt(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        watched = ("--watch", str(folder or self.folder))
        return self.call("run", *watched, *arguments, *flags(*self._settings), check=False)

    def put(self, name: str, content: bytes) -> None:
        (self.folder / f"{name}.jpg").write_bytes(content)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        assert self.process is not None
        return self.stop(self.process)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with server.database() as name:
        yield server.url(name)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def machine(tmp_path: Path, url: str) -> Iterator[Callable[..., Machine]]:
    made: list[Machine] = []

    def make(name: str, ingest_as: str = "") -> Machine:
        made.append(Machine(tmp_path / name, url, ingest_as))
        return made[-1]

    yield make
    for one in made:
        one.kill_all()


def sorted_up(engine: Engine, pictures: int) -> bool:
    status = Queries(engine).status()
    return (status.pictures, status.pending, status.behind) == (pictures, 0, 0)


def placed(engine: Engine) -> int:
    """Files that are known."""
    return len(list(Queries(engine).export_rows()))


def assert_consistent(engine: Engine, contents: set[bytes], files: int) -> None:
    """What is counted is there, each content once, each file's place once, and all of it has been seen and sorted."""
    queries = Queries(engine)
    with engine.connect() as connection:
        kept, counted = counters.read(connection), counters.recount(connection)
    assert {name: kept[name] for name in counted} == counted
    assert counted["pictures"] == len(contents)
    rows = list(queries.export_rows())
    assert len({row.sha256 for row in rows}) == len(contents)
    assert len({row.uri for row in rows}) == len(rows) == files
    assert {row.status for row in rows} <= {"clustered", "unassigned"}
    version = queries.ready_version()
    assert len(queries.unembedded(version, queries.window())) == 0
    events = [event.id for event in queries.history()]
    assert events == sorted(set(events))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whoever_is_killed_every_content_is_stored_once_and_sorted(
    machine: Callable[..., Machine], engine: Engine, server: Server
) -> None:
    rng = random.Random(7)
    learner, gate, yard = machines = [machine("learner"), machine("gate", "gate"), machine("yard", "yard")]
    learner.run()
    learner.wait_for(lambda: "watching" in learner.tail())
    for one in (gate, yard):
        one.run()
    contents: set[bytes] = set()
    files = 0
    for turn in range(TURNS):
        if turn == RESTART:  # whoever is starting then would end, and say why
            learner.wait_for(lambda files=files: placed(engine) == files, PATIENCE_S)  # type: ignore[misc]
        for number in range(24):
            content = jpeg(FAMILIES[number % 4], 100 * turn + number)
            contents.add(content)
            for one in rng.sample(machines, rng.choice((1, 2, 3))):  # the same content on several machines at once
                one.put(f"{turn}-{number}", content)
                files += 1
        time.sleep(rng.uniform(0, 6))
        if turn == RESTART:
            server.stop()
            time.sleep(2)
            server.start()
            assert [one.process.poll() for one in machines if one.process] == [None] * 3
        else:
            victim = rng.choice(machines)
            victim.kill()
            victim.run()
    learner.wait_for(lambda: sorted_up(engine, len(contents)), PATIENCE_S)
    learner.wait_for(lambda: placed(engine) == files, PATIENCE_S)
    learner.wait_for(lambda: learner.json("status")["learner_debt"] == 0, PATIENCE_S)
    learner.wait_for(lambda: Queries(engine).ready_version() > 1, PATIENCE_S)
    assert set(learner.json("status")["ingesting"]) == {"gate", "yard"}
    assert [one.end() for one in machines] == [0, 0, 0]
    assert_consistent(engine, contents, files)


@pytest.mark.slow
def test_who_takes_pictures_in_comes_second_and_has_a_name_of_its_own(machine: Callable[..., Machine]) -> None:
    gate, same = machine("gate", "gate"), machine("same", "gate")
    early = gate.attempt()
    assert (early.returncode, early.stderr.count("\n")) == (3, 1)
    assert "start the agent with `run`" in early.stderr
    learner = machine("learner")
    learner.put("a", jpeg("disc", 1))
    assert learner.attempt("--once").returncode == 0
    gate.run()
    gate.wait_for(lambda: "watching" in gate.tail())
    late = same.attempt()
    assert (late.returncode, late.stderr.count("\n")) == (3, 1)
    assert "as 'gate' belongs to a running agent (taxon, pid" in late.stderr
    assert gate.end() == 0


@pytest.mark.slow
def test_the_same_path_on_two_machines_is_two_places(machine: Callable[..., Machine], engine: Engine) -> None:
    learner, gate = machine("learner"), machine("gate", "gate")
    shared = learner.folder / "a.jpg"
    for one, seed in ((learner, 1), (gate, 2), (learner, 1)):
        shared.write_bytes(jpeg("disc", seed))  # as if it lay at this path of this machine
        assert one.attempt("--once", folder=learner.folder).returncode == 0
    uris = {row.uri for row in Queries(engine).export_rows()}
    assert uris == {str(shared), f"gate:{shared}"}
    assert sorted_up(engine, 2)
