"""The life of the process: checks, lock, signals, logs. What runs inside is put together in `agent.assembly`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine

from agent.address import addresses
from agent.birth import birth_of, require_same_birth
from agent.config import TOKEN_LENGTH, CameraConfig, Config, PushConfig
from agent.cores import share_cores
from agent.errors import ConfigError
from agent.freed import keep_freed_memory
from agent.listen import parse as parse_listen
from agent.logs import configure_logs
from agent.settings import write_effective
from agent.sources.protocol import SourceError
from agent.uri import OURS, file_uri
from storage.engine import default_url, is_on_server, open_engine, require_same_database, sole_agent
from storage.lock import DataLock
from storage.migrate import check_schema, migrate
from storage.queries import BORN, Queries
from storage.store import Store

HARD_EXIT = 130


def run_daemon(config: Config, data: Path, once: bool, live: bool) -> int:
    """Run the agent until it is told to stop, or with `once` until everything there is has become kinds.

    Args:
        data: data directory; made when missing.
        live: show a live view on the terminal instead of log lines.

    Returns:
        The exit status: 0.

    Raises:
        SourceError: a watched folder or a video file is missing.
        StoreLocked: another agent runs on this data directory, or on its database, or under its name.
        ConfigError: the data directory was begun with another network; a camera can never work;
            pictures would be received from anybody.
        StorageError: it was begun with another database, or its database cannot be opened.
        Superseded: another agent has taken the database over while this one was cut off from it.
    """
    for folder in config.folder.watch:
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder; make it, or watch another with --watch DIR")
    check_cameras(config.camera, once=once)
    check_push(config.push, once=once)
    check_shared(config)
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(DataLock(data))
        stop = stack.enter_context(stop_on_signals())
        effective = config
        if live:  # the view says what happens; lines between would tear it
            config = config.model_copy(update={"log": config.log.model_copy(update={"level": "warning"})})
        configure_logs(config.log)
        url = config.storage.url or default_url(data)
        require_same_database(url, data)
        engine = open_engine(url)
        stack.callback(engine.dispose)
        still_ours = stack.enter_context(sole_agent(engine, config.ingest_as))
        if config.ingest_as:
            join_network(engine, config)
        else:
            migrate(engine)
            claim_network(engine, config)
        if url == default_url(data):  # a server's may hold the places of other machines
            Store(engine).settle(file_uri(data.resolve()), OURS)
        write_effective(effective, data)  # what is refused above says nothing of these data
        if live:
            from agent.live import live_view

            stack.enter_context(live_view(Queries(engine), name=config.ingest_as))
        if stop.is_set():
            return 0
        # only now: a wrong folder or a held lock must be said at once, and torch takes seconds to import
        share_cores()
        keep_freed_memory()
        from agent.assembly import Agent

        Agent(config, data, url, engine, stop, still_ours).run(once)
    return 0


def claim_network(engine: Engine, config: Config) -> None:
    """A data directory belongs to the network whose embeddings it holds; an empty one to the first that comes.

    Raises:
        ConfigError: it belongs to another.
    """
    Store(engine).ensure_born(birth_of(config))
    require_same_birth(Queries(engine).version(BORN).config, config)


def join_network(engine: Engine, config: Config) -> None:
    """What is taken in is embedded as the agent that learns does it; it was there first.

    Raises:
        SchemaError, NotFound: no agent that learns has begun on this database, or one of another age.
        ConfigError: it has another network.
    """
    check_schema(engine)
    queries = Queries(engine)
    queries.ready_version()
    require_same_birth(queries.version(BORN).config, config)


def check_shared(config: Config) -> None:
    """What can be said before the database is opened.

    Raises:
        ConfigError: pictures would be taken in for nobody.
    """
    if config.ingest_as and not is_on_server(config.storage.url):
        raise ConfigError("ingest_as takes pictures in for another agent; set storage.url to its PostgreSQL database")


def check_cameras(config: CameraConfig, *, once: bool) -> None:
    """What can be said about cameras before any is asked.

    Raises:
        SourceError: a video file is missing.
        ConfigError: two have one name, a variable is missing, or `once` is asked of what never ends.
    """
    try:
        cameras = addresses(config.watch, config.snapshot.watch)
    except ValueError as error:
        raise ConfigError(f"camera.watch: {error}") from None
    for camera in cameras:
        if camera.missing():
            raise ConfigError(f"camera {camera.name}: set the environment variable {camera.missing()[0]}")
        if camera.kind == "file" and not os.path.isfile(camera.url):
            raise SourceError(f"{camera.url}: no such file; give another one with --camera {camera.name}=FILE")
        if once and camera.kind in ("stream", "device"):
            raise ConfigError(f"camera {camera.name} never ends; leave out --once, it is for folders and films")


def check_push(config: PushConfig, *, once: bool) -> None:
    """What can be said before anybody sends a picture.

    Raises:
        ConfigError: other machines could send without a token, or `once` is asked of what never ends.
    """
    if not config.listen:
        return
    if once:
        raise ConfigError("receiving pictures (push.listen) never ends; leave out --once, or --push")
    if not (parse_listen(config.listen).loopback or config.token.get_secret_value()):
        remedy = f"set TAXON_PUSH__TOKEN to {TOKEN_LENGTH} letters or more in the environment, or listen on 127.0.0.1"
        raise ConfigError(f"other machines reach {config.listen}, and there is no token; {remedy}")


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; the second signal ends the process at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(HARD_EXIT)
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
