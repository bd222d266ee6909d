"""Verbs that look after the installation: config, doctor, migrate, version."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.commands.options import DATA, Camera, ConfigFile, Data, Json, Push, Sets, Watch, with_cameras, with_push
from agent.commands.output import print_json

config = typer.Typer(help="The configuration: show it, check it.", rich_markup_mode=None)


@config.command()
def show(
    file: ConfigFile = None,
    overrides: Sets = [],  # noqa: B006 (read only; typer needs the empty list)
    bare: Annotated[bool, typer.Option("--bare", help="Without comments.")] = False,
    as_json: Json = False,
) -> None:
    """Every setting as `run` would see it with the same flags; passwords are hidden."""
    import yaml

    from agent.settings import effective_yaml, load_config

    text = effective_yaml(load_config(file, overrides), comments=not bare)
    if as_json:
        print_json(yaml.safe_load(text))
    else:
        print(text, end="")


@config.command()
def check(file: ConfigFile = None, overrides: Sets = []) -> None:  # noqa: B006
    """Say what is wrong with the configuration; nothing when all is well."""
    from agent.settings import load_config

    load_config(file, overrides)


def doctor(
    watch: Watch = [],  # noqa: B006
    camera: Camera = [],  # noqa: B006
    push: Push = None,
    file: ConfigFile = None,
    overrides: Sets = [],  # noqa: B006
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Check this machine, the folders, the cameras and the database; exit 1 when something would fail."""
    from agent.doctor import FAIL, examine
    from agent.redaction import hide_arguments
    from agent.settings import EFFECTIVE, load_config

    hide_arguments()
    if file is None and (data / EFFECTIVE).is_file():
        file = data / EFFECTIVE
    settings = load_config(file, with_push(with_cameras(overrides, camera), push))
    findings = examine(settings, data, watch or list(settings.folder.watch))
    if as_json:
        print_json(findings)
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            remedy = f"; {finding.remedy}" if finding.remedy else ""
            print(f"{finding.verdict:<4}  {finding.subject:<{width}}  {finding.message}{remedy}")
    raise typer.Exit(1 if any(finding.verdict == FAIL for finding in findings) else 0)


def migrate(data: Data = DATA) -> None:
    """Bring the database to this program's schema; an SQLite file is copied first."""
    from storage.engine import database_url, open_engine, sole_agent
    from storage.errors import NotFound
    from storage.lock import DataLock
    from storage.migrate import migrate as bring_up

    if not data.is_dir():
        raise NotFound(f"there is no data directory {data}; start the agent with `run`, or give another --data")
    with DataLock(data):
        engine = open_engine(database_url(data))
        try:
            with sole_agent(engine):
                bring_up(engine)
        finally:
            engine.dispose()
    print("the database has this program's schema", file=sys.stderr)


def version(as_json: Json = False) -> None:
    """The program's version and schema."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    from storage.schema import SCHEMA_VERSIONS

    try:
        number = installed("taxon")
    except PackageNotFoundError:
        number = "not installed"
    if as_json:
        print_json({"version": number, "schema": SCHEMA_VERSIONS[-1]})
    else:
        print(f"taxon {number}, schema {SCHEMA_VERSIONS[-1]}")
