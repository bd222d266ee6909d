"""Verbs by which people correct the agent. Each is one event, and can be undone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from agent.commands.doors import writing
from agent.commands.options import DATA, Data, Json, person
from agent.commands.output import print_json
from agent.uri import OURS, file_uri, on_machine

NEW = "new"
STILL_READ = (
    "another program reads the database (an `export`, perhaps), so bytes of what was forgotten stay on the disk;"
    " when it has ended, the agent removes them within a minute, or else the next `run` or `forget` does"
)

Kind = Annotated[int, typer.Argument(metavar="ID", help="Number of the kind.")]
Shas = Annotated[list[str], typer.Argument(metavar="SHA...", help="sha256 of the pictures, or its first digits.")]


def rename(
    cluster_id: Kind,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Empty takes the name away.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Give a kind a name, which stays with it whatever the agent learns."""
    with writing(data) as (store, _):
        event = store.rename(cluster_id, name, person())
    said = f"is now called {name.strip()!r}" if name.strip() else "has no name any more"
    _tell(event, f"kind {cluster_id} {said}", as_json)


def hide(
    cluster_id: Kind,
    show: Annotated[bool, typer.Option("--show", help="Show it again.")] = False,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Leave a kind out of what people look at; the agent goes on sorting pictures into it."""
    with writing(data) as (store, _):
        event = store.hide(cluster_id, person(), hidden=not show)
    _tell(event, f"kind {cluster_id} is {'shown again' if show else 'hidden'}", as_json)


def move(
    shas: Shas,
    to: Annotated[str, typer.Option("--to", metavar="ID", help="Number of the kind, or `new` for one of their own.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Put pictures into a kind; they stay there, whatever the agent finds later."""
    with writing(data) as (store, _):
        event, kind = store.move(shas, _target(to), person())
    _tell(event, f"{_pictures(shas)} in kind {kind} now", as_json, cluster_id=kind)


def merge(
    cluster_ids: Annotated[list[int], typer.Argument(metavar="ID...", help="Kinds that end.")],
    into: Annotated[int, typer.Option("--into", metavar="ID", help="The kind that all of it belongs to.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Make one kind of several, now and for what the agent will find in them later."""
    with writing(data) as (store, _):
        event = store.merge(cluster_ids, into, person())
    merged = ", ".join(str(kind) for kind in cluster_ids)
    _tell(event, f"what was in {merged} is in kind {into} now", as_json, cluster_id=into)


def split(cluster_id: Kind, shas: Shas, data: Data = DATA, as_json: Json = False) -> None:
    """Make a kind of its own of some pictures of a kind."""
    with writing(data) as (store, _):
        event, kind = store.divide(cluster_id, shas, person())
    _tell(event, f"{_pictures(shas)} of kind {cluster_id} in the new kind {kind} now", as_json, cluster_id=kind)


def forget(shas: Shas, data: Data = DATA, as_json: Json = False) -> None:
    """Remove pictures for good: rows, thumbnail, embeddings, what we kept of it, the learner's memory. No undo."""
    from storage.engine import ingesting_as
    from storage.home import HOME

    with writing(data) as (store, queries):
        home = str(queries.state(HOME) or on_machine(ingesting_as(data), file_uri(data.resolve())))
        _unlink_ours(queries.places(shas), home, data)  # first: whatever fails, `forget` can be repeated
        event = store.forget(shas, person())
        scrubbed = store.scrub()
    if as_json:
        print_json({"event": event})
    else:
        print(f"{_pictures(shas)} forgotten for good (event {event}); the files are yours to delete", file=sys.stderr)
    if not scrubbed:
        print(STILL_READ, file=sys.stderr)


def _unlink_ours(uris: Sequence[str], home: str, data: Path) -> None:
    """Of a data directory that was called `home` when the agent last ran, and is `data` now."""
    for uri in uris:
        for folder in OURS:
            if Path(uri).is_relative_to(f"{home}/{folder}") and ".." not in Path(uri).parts:
                (data / Path(uri).relative_to(home)).unlink(missing_ok=True)


def undo(
    event_id: Annotated[int, typer.Argument(metavar="EVENT", help="Number of the event, as `history` gives it.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Take back a correction, whenever it was made; to undo an undo is to make its correction count again."""
    with writing(data) as (store, _):
        event = store.undo(event_id, person())
    _tell(event, f"event {event_id} counts no more", as_json)


def _target(to: str) -> int | None:
    if to.lower() == NEW:
        return None
    try:
        return int(to)
    except ValueError:
        raise typer.BadParameter(f"{to!r} is neither a number nor `{NEW}`", param_hint="--to") from None


def _pictures(shas: Sequence[str]) -> str:
    return "1 picture is" if len(shas) == 1 else f"{len(shas)} pictures are"


def _tell(event: int, what: str, as_json: bool, **more: int) -> None:
    if as_json:
        print_json({"event": event, **more})
    else:
        print(f"{what} (event {event}; `undo {event}` takes it back)", file=sys.stderr)
