"""Verbs that ask: status, clusters, cluster, history. They import neither the agent nor torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from agent.commands.doors import reading
from agent.commands.options import DATA, AsOf, Data, Json, OfCluster, Since, Until, moment
from agent.commands.output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from storage.answers import Answers
    from storage.rows import ClusterDetail, ClusterRow, EventRow

Choice = TypeVar("Choice", bound=str)


def status(data: Data = DATA, as_json: Json = False) -> None:
    """Whether the agent runs, and how far it has come."""
    with reading(data) as queries:
        facts = status_facts(queries, data)
    if as_json:
        print_json(facts)
    else:
        print_facts({name.replace("_", " "): value for name, value in facts.items()})


def status_facts(queries: Answers, data: Path) -> dict[str, object]:
    """Counts from the store, and what the agent last said of itself."""
    from storage.engine import ingesting_as
    from storage.lock import holder

    counts, said = queries.status(), queries.agent(ingesting_as(data))
    pid = holder(data)
    alive = "paused" if queries.paused() else "running"
    return {
        "daemon": "stopped" if pid is None else alive,
        "pid": pid,
        "queue": 0 if pid is None else said.get("queue") or 0,
        "pictures": counts.pictures,
        "pending": counts.pending,
        "rejected": counts.rejected,
        "unassigned": counts.unassigned,
        "learner_debt": queries.state("learner_debt") or 0,
        "encoder_version": counts.encoder_version,
        "building_version": counts.building_version,
        "clustering_id": counts.clustering_id,
        "behind": counts.behind,
        "kinds": dict(counts.clusters),
        "sources": said.get("sources") or [],
        "heartbeats": said.get("heartbeats") or {},
        "ingesting": queries.ingesting(),
    }


def clusters(
    data: Data = DATA,
    as_of: AsOf = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="provisional, active, dormant or ended.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Kinds that have ended, too.")] = False,
    as_json: Json = False,
) -> None:
    """The kinds that were found."""
    from storage.records import ClusterState

    wanted = _choice(state, list(ClusterState), "--state")
    with reading(data) as queries:
        rows = queries.clusters(moment(as_of, "--as-of"), include_ended=every or wanted is ClusterState.ENDED)
    rows = [row for row in rows if wanted in (None, row.state)]
    if as_json:
        print_json(rows)
        return
    head = ("id", "name", "state", "size", "core", "first seen", "last seen", "from", "part of")
    print_table(head, [_kind_cells(row) for row in rows], empty="no kinds yet")


def _kind_cells(row: ClusterRow) -> tuple[object, ...]:
    name = f"{row.name} (hidden)".strip() if row.hidden else row.name
    return (
        row.id, name, row.state, row.size, row.core_size, row.first_seen, row.last_seen, row.parents, row.coarser,
    )  # fmt: skip


def cluster(
    cluster_id: Annotated[int, typer.Argument(metavar="ID", help="Number of the kind.")],
    data: Data = DATA,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """One kind: exemplars, least certain members, nearest kinds, where it came from and what happened to it."""
    with reading(data) as queries:
        detail = queries.cluster(cluster_id, moment(as_of, "--as-of"))
    if as_json:
        print_json(_flat(detail))
        return
    kind = detail.cluster
    print_facts(
        {
            "id": kind.id, "name": kind.name, "state": kind.state, "size": kind.size, "core size": kind.core_size,
            "first seen": kind.first_seen, "last seen": kind.last_seen, "split from": kind.parents,
            "split into": detail.children, "part of": kind.coarser, "hidden": kind.hidden,
            "exemplars": [sha256[:12] for sha256 in kind.exemplars[:8]],
        }
    )  # fmt: skip
    print("\nleast certain members")
    least = [(row.sha256[:12], row.probability, row.uri) for row in detail.borderline]
    print_table(("sha256", "probability", "uri"), least, empty="no members")
    print("\nnearest kinds")
    near = [(row.cluster_id, row.cluster_name, row.cosine) for row in detail.neighbours]
    print_table(("id", "name", "cosine"), near, empty="none are known")
    print("\nhistory")
    print_events(detail.events)


def _flat(detail: ClusterDetail) -> dict[str, object]:
    """A kind's own fields first, as `clusters` gives them, and then its surroundings."""
    kind: dict[str, object] = {name: getattr(detail.cluster, name) for name in detail.cluster.__slots__}
    return kind | {
        "borderline": detail.borderline,
        "neighbours": detail.neighbours,
        "children": detail.children,
        "events": detail.events,
    }


def history(
    data: Data = DATA,
    since: Since = None,
    until: Until = None,
    type_: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Only such events: emerged, split, absorbed, ...")
    ] = None,
    of_cluster: OfCluster = None,
    by: Annotated[str | None, typer.Option("--by", metavar="WHO", help="agent, people, or somebody's name.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="The newest so many at most; 0 means all.")] = 0,
    as_json: Json = False,
) -> None:
    """What happened, oldest first."""
    from storage.records import EventType

    wanted = _choice(type_, list(EventType), "--type")
    with reading(data) as queries:
        rows = queries.history(
            moment(since, "--since"), moment(until, "--until"), wanted, of_cluster, limit=limit or None, by=by
        )
    if as_json:
        print_json(rows)
    else:
        print_events(rows)


def print_events(rows: Sequence[EventRow]) -> None:
    head = ("id", "at", "event", "kind", "others", "by", "detail")
    cells = [(row.id, row.at, row.type, row.cluster_id, row.other_ids, row.actor, row.detail) for row in rows]
    print_table(head, cells, empty="no events")


def _choice(text: str | None, choices: Sequence[Choice], option: str) -> Choice | None:
    if text is None:
        return None
    for choice in choices:
        if choice == text.lower():
            return choice
    raise typer.BadParameter(f"there is no {text!r}; choose one of {', '.join(choices)}", param_hint=option)
