from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from agent.assembly import Agent
from agent.config import Config
from agent.errors import ConfigError
from agent.sources.folder import FolderSource
from storage.engine import database_url
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


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


def test_a_worker_that_dies_stops_the_agent_with_its_error(
    data: Path, engine: Engine, watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(config(watched), data, database_url(data), engine, threading.Event())

    def fail(stop: threading.Event) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("agent.assembly.EmbedWorker.run", lambda worker, stop: fail(stop))
    with pytest.raises(ZeroDivisionError):
        agent.run(once=False)
    assert not agent._clusterer.alive


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
    agent = Agent(both, data, database_url(data), engine, threading.Event())

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


def test_a_data_directory_belongs_to_its_network(data: Path, engine: Engine, watched: Path) -> None:
    Agent(config(watched), data, database_url(data), engine, threading.Event())._pool.close()
    with pytest.raises(ConfigError, match="another --data"):
        Agent(config(watched, image_px=32), data, database_url(data), engine, threading.Event())


def test_a_version_that_a_crash_left_half_built_is_abandoned(data: Path, engine: Engine, watched: Path) -> None:
    Agent(config(watched), data, database_url(data), engine, threading.Event())._pool.close()
    store, queries = Store(engine), Queries(engine)
    half = store.begin_version("", {})
    Agent(config(watched), data, database_url(data), engine, threading.Event())._pool.close()
    assert queries.building_version() is None
    assert queries.ready_version() == 1
    assert store.begin_version("", {}) == half + 1


def test_status_is_told_how_each_folder_is_observed_and_why(data: Path, engine: Engine, watched: Path) -> None:
    agent = Agent(config(watched), data, database_url(data), engine, threading.Event())
    (guarded,) = agent._sources
    folder = guarded._source
    assert isinstance(folder, FolderSource)
    folder._choose_watch()
    agent._tell_of_sources()
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


def test_data_of_a_random_network_belong_to_its_seed(data: Path, engine: Engine, watched: Path) -> None:
    Agent(config(watched), data, database_url(data), engine, threading.Event())._pool.close()
    reseeded = config(watched).model_copy(update={"seed": 1})
    with pytest.raises(ConfigError, match="seed is 1"):
        Agent(reseeded, data, database_url(data), engine, threading.Event())


def test_data_that_do_not_tell_their_seed_go_on(data: Path, engine: Engine, watched: Path) -> None:
    Store(engine).ensure_born({"backbone": "small", "weights": "none", "image_px": 16})
    Agent(config(watched), data, database_url(data), engine, threading.Event())._pool.close()
