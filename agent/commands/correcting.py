"""Verbs by which people correct the agent: rename, hide, undo. Each is one event, and can be undone."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.commands.doors import writing
from agent.commands.options import DATA, Data, Json, person
from agent.commands.output import print_json

Kind = Annotated[int, typer.Argument(metavar="ID", help="Number of the kind.")]


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


def undo(
    event_id: Annotated[int, typer.Argument(metavar="EVENT", help="Number of the event, as `history` gives it.")],
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Take back a correction, whenever it was made; to undo an undo is to make its correction count again."""
    with writing(data) as (store, _):
        event = store.undo(event_id, person())
    _tell(event, f"event {event_id} counts no more", as_json)


def _tell(event: int, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"event": event})
    else:
        print(f"{what} (event {event}; `undo {event}` takes it back)", file=sys.stderr)
