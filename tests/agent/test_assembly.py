from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine

from agent.assembly import Agent
from agent.config import Config
from agent.daemon import claim_network
from agent.sources.folder import FolderSource
from storage.engine import database_url
from storage.errors import Superseded
from storage.queries import Queries
from storage.store import Store
from tests.pictures import tiny


def config(watch: Path, image_px: int = 16) -> Config:
    return Config.model_validate(
        {
            "encoder": {"backbone": "small", "weights": "none", "image_px": image_px},
            "learner": {"views_per_picture": 0},
            "folder": {"watch": (watch,)},
        }
    )


def agent_on(engine: Engine, data: Path, settings: Config) -> Agent:
    claim_network(engine, settings)
    return Agent(settings, data, database_url(data), engine, threading.Event())


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


def test_a_worker_that_dies_stops_the_agent_with_its_error(
    data: Path, engine: Engine, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = agent_on(engine, data, config(watched))

    def fail(stop: threading.Event) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("agent.assembly.EmbedWorker.run", lambda worker, stop: fail(stop))
    with pytest.raises(ZeroDivisionError):
        agent.run(once=False)
    assert not agent._clusterer.alive


def test_what_a_reader_kept_on_the_disk_is_removed_in_time(
    data: Path, engine: Engine, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = agent_on(engine, data, config(watched))
    clock, tried = [5.0], list[float]()

    def scrub() -> bool:
        tried.append(clock[0])
        return False

    monkeypatch.setattr(agent._store, "scrub", scrub)
    monkeypatch.setattr(agent, "_tell", lambda states: None)
    monkeypatch.setattr(agent._clusterer, "check", lambda: None)
    monkeypatch.setattr("agent.assembly.time.monotonic", lambda: clock[0])
    idle: Any = SimpleNamespace(beat=0.0, debt_views=0)
    for clock[0] in (5.0, 10.0, 64.0, 66.0, 70.0):
        agent._beat(idle, idle)
    assert tried == [5.0, 66.0]


def test_an_agent_whose_database_was_taken_over_ends_and_says_so(
    data: Path, engine: Engine, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = agent_on(engine, data, config(watched))

    def taken_over() -> None:
        raise Superseded("another agent runs on it")

    monkeypatch.setattr(agent, "_still_ours", taken_over)
    with pytest.raises(Superseded):
        agent.run(once=False)


@pytest.mark.slow
def test_a_source_that_cannot_be_drained_stops_no_other_and_is_told_in_the_end(
    data: Path, engine: Engine, tmp_path: Path, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.guard.LEAST_S", 0.01)
    monkeypatch.setattr("agent.sources.guard.MOST_S", 0.01)
    good = tmp_path / "good"
    good.mkdir()
    for number in range(3):
        (good / f"{number}.png").write_bytes(tiny(number))
    both = config(watched)
    both = both.model_copy(update={"folder": both.folder.model_copy(update={"watch": (watched, good)})})
    agent = agent_on(engine, data, both)

    def fail(stop: threading.Event) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(agent._sources[0]._source, "drain", fail)
    with pytest.raises(ZeroDivisionError):
        agent.run(once=True)
    queries = Queries(engine)
    assert (queries.status().pictures, queries.status().pending) == (3, 0)
    sources: Any = queries.state("sources")
    told = {source["name"]: source["health"] for source in sources}
    assert told == {str(watched): "offline", str(good): "online"}


def test_a_version_that_a_crash_left_half_built_is_abandoned(data: Path, engine: Engine, watched: Path) -> None:
    agent_on(engine, data, config(watched))._pool.close()
    store, queries = Store(engine), Queries(engine)
    half = store.begin_version("", {})
    agent_on(engine, data, config(watched))._pool.close()
    assert queries.building_version() is None
    assert queries.ready_version() == 1
    assert store.begin_version("", {}) == half + 1


def test_an_agent_that_only_takes_pictures_in_leaves_learning_and_sorting_to_the_other(
    data: Path, engine: Engine, watched: Path
) -> None:
    (watched / "a.png").write_bytes(tiny(1))
    learner = agent_on(engine, data, config(watched))
    learner._pool.close()
    learner._tell({"queue": 7})
    store, queries = Store(engine), Queries(engine)
    half = store.begin_version("", {})
    gate = agent_on(engine, data, config(watched).model_copy(update={"ingest_as": "gate"}))
    gate.run(once=True)
    assert queries.building_version() == half
    assert gate._clusterer.pid is None
    assert queries.status().pending == 1
    assert queries.state("queue") == 7
    assert list(queries.present_uris(f"gate:{watched}")) == [f"gate:{watched}/a.png"]
    sources: Any = queries.agent("gate")["sources"]
    (source,) = sources
    assert (source["name"], source["health"]) == (str(watched), "online")


def test_outages_tell_on_which_machine(data: Path, engine: Engine, watched: Path) -> None:
    gate = agent_on(engine, data, config(watched).model_copy(update={"ingest_as": "gate"}))
    gate._pool.close()
    gate._note("door", "offline", "no answer")
    (event,) = gate._outages.take()
    assert event.detail["source"] == "gate:door"


def test_status_is_told_how_each_folder_is_observed_and_why(data: Path, engine: Engine, watched: Path) -> None:
    agent = agent_on(engine, data, config(watched))
    (guarded,) = agent._sources
    folder = guarded._source
    assert isinstance(folder, FolderSource)
    folder._choose_watch()
    agent._tell({})
    agent._pool.close()
    said = Queries(engine).state("sources")
    assert said == [
        {
            "name": str(watched), "health": "online", "detail": "", "counts": {},
            "observer": folder.observer, "observer_why": folder.observer_why,
        }
    ]  # fmt: skip
    assert folder.observer in ("native", "polling")
    assert folder.observer_why
