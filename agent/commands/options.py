"""Options that several verbs share. Nothing else; importing it costs nothing."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from storage.times import parse_time

DATA = Path("taxon-data")

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Data directory: database, checkpoints, taxon.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="YAML file with settings.")]
Sets = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be given again.")]
Watch = Annotated[list[Path], typer.Option("--watch", metavar="DIR", help="Folder to watch; may be given again.")]
Camera = Annotated[
    list[str], typer.Option("--camera", metavar="NAME=URL", help="Camera or video file; may be given again.")
]
Push = Annotated[
    str | None, typer.Option("--push", metavar="HOST:PORT", help="Receive pictures by HTTP there; see docs/sources.md.")
]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="As it stood then: 2026-11-22, 3d, monday.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Not before: 2026-11-22, 2h, yesterday.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Not after.")]
OfCluster = Annotated[int | None, typer.Option("--cluster", metavar="ID", help="Only of this kind.")]


class Status(StrEnum):
    """Where a picture stands."""

    CLUSTERED = "clustered"
    UNASSIGNED = "unassigned"
    PENDING = "pending"
    REJECTED = "rejected"


class Form(StrEnum):
    """What an export looks like."""

    CSV = "csv"
    JSON = "json"
    FOLDERS = "folders"


class How(StrEnum):
    """How pictures come into exported folders."""

    SYMLINK = "symlink"
    COPY = "copy"
    HARDLINK = "hardlink"


def moment(text: str | None, option: str) -> datetime | None:
    """The time that a person wrote, in UTC.

    Raises:
        typer.BadParameter: it is no time.
    """
    if text is None:
        return None
    try:
        return parse_time(text, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def with_cameras(overrides: list[str], cameras: list[str]) -> list[str]:
    """What `--set` gave, and the cameras that `--camera` gave as one more of them."""
    return [*overrides, f"camera.watch={json.dumps(cameras)}"] if cameras else overrides


def with_push(overrides: list[str], push: str | None) -> list[str]:
    """Likewise for what `--push` gave."""
    return overrides if push is None else [*overrides, f"push.listen={push}"]


def person() -> str:
    """Who gives the command; goes into the event."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
