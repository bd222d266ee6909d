"""Verbs that make the agent do something: run, recluster, pause, resume, demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.doors import writing
from agent.commands.options import DATA, Camera, ConfigFile, Data, Push, Sets, Watch, person, with_cameras, with_push

if TYPE_CHECKING:
    from agent.config import Config
    from storage.records import EventType


def run(
    watch: Watch = [],  # noqa: B006 (read only; typer needs the empty list)
    camera: Camera = [],  # noqa: B006
    push: Push = None,
    config: ConfigFile = None,
    overrides: Sets = [],  # noqa: B006
    once: Annotated[bool, typer.Option("--once", help="Sort what lies there now, to the end, and exit.")] = False,
    data: Data = DATA,
) -> None:
    """Watch folders and cameras, receive pictures, learn, and sort what arrives into kinds; until Ctrl-C."""
    try:
        from agent.redaction import hide_arguments

        hide_arguments()
        settings = _settings(config, with_push(overrides, push), watch, camera)
        from agent.daemon import run_daemon

        code = run_daemon(settings, data, once=once, live=_on_terminal())
    except KeyboardInterrupt:  # before the daemon took over the signals: nothing has begun
        code = 0
    raise typer.Exit(code)


def _settings(file: Path | None, overrides: list[str], watch: list[Path], cameras: list[str]) -> Config:
    """The configuration, with the watched folders absolute; what `--watch` and `--camera` give replaces the file's."""
    from agent.errors import ConfigError
    from agent.settings import load_config

    config = load_config(file, with_cameras(overrides, cameras))
    folders = tuple(Path(os.path.abspath(folder)) for folder in watch or config.folder.watch)
    if not (folders or config.camera.watch or config.camera.snapshot.watch or config.push.listen):
        given = "--watch DIR, --camera NAME=URL or --push HOST:PORT"
        raise ConfigError(f"nothing to watch; give {given}, or name them in the configuration")
    return config.model_copy(update={"folder": config.folder.model_copy(update={"watch": folders})})


def _on_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def recluster(data: Data = DATA) -> None:
    """Find the kinds anew now: by the agent if it runs, else by this command."""
    from storage.lock import holder
    from storage.states import RECLUSTER

    with writing(data) as (store, queries):
        pid = holder(data)
        if pid is not None:
            last = queries.last_clustering()
            store.set_state(RECLUSTER, last.id if last else 0)
            print(f"asked the agent (pid {pid}) for a round", file=sys.stderr)
            return
        if queries.last_picture_id() == 0:
            print("no pictures yet, so nothing to sort", file=sys.stderr)
            return
    number = _recluster_here(data)
    print(f"clustering {number} is done; `clusters` shows it", file=sys.stderr)


def _recluster_here(data: Path) -> int:
    from agent.cluster_process import recluster as one_round
    from agent.logs import configure_logs
    from agent.settings import EFFECTIVE, load_config
    from storage.engine import database_url, open_engine, sole_agent
    from storage.lock import DataLock

    settings = load_config(data / EFFECTIVE if (data / EFFECTIVE).is_file() else None)
    configure_logs(settings.log)
    url = database_url(data)
    with DataLock(data), sole_agent(open_engine(url)):
        return one_round(url, settings.cluster, settings.seed)


def pause(data: Data = DATA) -> None:
    """Stop learning; seeing and sorting go on."""
    from storage.records import EventType

    _switch(data, EventType.PAUSED)


def resume(data: Data = DATA) -> None:
    """Go on learning."""
    from storage.records import EventType

    _switch(data, EventType.RESUMED)


def _switch(data: Path, to: EventType) -> None:
    from storage.records import Event, EventType

    with writing(data) as (store, queries):
        if queries.paused() == (to is EventType.PAUSED):
            print(f"learning is {'paused' if to is EventType.PAUSED else 'on'} already", file=sys.stderr)
            return
        store.add_events([Event(to, actor=person())])
    print(f"learning {to}", file=sys.stderr)


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the pictures.")],
    rate: Annotated[float, typer.Option("--rate", min=0.1, help="Pictures a second.")] = 40.0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="How many at most.")] = None,
) -> None:
    """Write handwritten digits into a folder, digit by digit, as a camera would; what is there already stays."""
    from agent.demo import write_digits

    try:
        count = write_digits(out, rate, limit)
    except KeyboardInterrupt:
        return
    print(f"{count} pictures written to {out}")
