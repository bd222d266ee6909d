"""A live view for the terminal: how far the agent has come, its kinds, what happened last.

It reads the store once a second and knows nothing about the agent that fills it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import StorageError
from storage.queries import Queries
from storage.records import ClusterState
from storage.rows import ClusterRow, EventRow

KINDS = 15
EVENTS = 6
RECENT = 200


@contextmanager
def live_view(queries: Queries, console: Console | None = None, name: str = "") -> Iterator[None]:
    """Show the view until the block ends; log lines of this process appear above it.

    Args:
        name: of an agent that only takes pictures in.
    """
    with Live(get_renderable=lambda: _view(queries, name), refresh_per_second=1, console=console or Console()):
        yield


def _view(queries: Queries, name: str) -> RenderableType:
    try:
        return view(queries, name)
    except (StorageError, SQLAlchemyError) as error:  # the view must outlive a locked or full disk
        return Text(f"the store does not answer: {error}", style="red")


def view(queries: Queries, name: str = "") -> Group:
    """What is known now, as something rich can draw."""
    events = queries.history(limit=RECENT)
    shown = [kind for kind in queries.clusters() if not kind.hidden]
    return Group(_counts(queries, name), _kinds(shown, events), _events(events[-EVENTS:]))


def _counts(queries: Queries, name: str) -> Text:
    counts = queries.status()
    facts = {
        "pictures": counts.pictures,
        "pending": counts.pending,
        "unassigned": counts.unassigned,
        "rejected": counts.rejected,
        "queue": queries.agent(name).get("queue") or 0,
        "views to learn": queries.state("learner_debt") or 0,
        "encoder": counts.encoder_version or "-",
    }
    line = Text("learning paused  " if queries.paused() else "", style="yellow")
    for name, value in facts.items():
        line.append(f"{name} ", style="dim").append(f"{value}   ", style="bold")
    return line


def _kinds(rows: Sequence[ClusterRow], events: Sequence[EventRow]) -> RenderableType:
    if not rows:
        return Text("no kinds yet", style="dim")
    newest = {kind: event.type.value for event in events for kind in (event.cluster_id, *event.other_ids)}
    shown = sorted(rows, key=lambda row: (row.state is ClusterState.DORMANT, -row.size))
    table = Table("id", "name", "state", "size", "newest event", box=None, header_style="dim", pad_edge=False)
    for row in shown[:KINDS]:
        table.add_row(str(row.id), Text(row.name), row.state.value, str(row.size), newest.get(row.id, ""))
    if len(rows) <= KINDS:
        return table
    return Group(table, Text(f"and {len(rows) - KINDS} more kinds", style="dim"))


def _events(events: Sequence[EventRow]) -> Text:
    lines = Text()
    for event in events:
        about = "" if event.cluster_id is None else f" {event.cluster_id}"
        others = f" ({', '.join(map(str, event.other_ids))})" if event.other_ids else ""
        lines.append(f"\n{event.at.astimezone():%H:%M:%S} ", style="dim").append(f"{event.type}{about}{others}")
    return lines
