"""Verbs that answer for single pictures: nearest, explain, review. They import numpy when they run, and never torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.doors import reading_vectors
from agent.commands.images import meant
from agent.commands.newcomers import embedded
from agent.commands.options import DATA, Data, Json
from agent.commands.output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from agent.looking import Subject
    from agent.reasons import Explanation, KindVote, SaidRow
    from storage.queries import Queries

COUNT = 12
LIMIT = 20

Image = Annotated[
    str, typer.Argument(metavar="IMAGE", help="sha256 of a picture, its first digits, or a file, stored or new.")
]


def nearest(
    image: Image,
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = COUNT,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """The stored pictures most like one."""
    from agent.looking import nearest as most_alike

    with reading_vectors(data) as queries:
        rows = most_alike(queries, subject_of(queries, data, image), count)
    if as_json:
        print_json(rows)
        return
    cells = [(row.sha256[:12], row.cosine, row.cluster_id, row.cluster_name, row.status, row.uri) for row in rows]
    print_table(("sha256", "cosine", "kind", "name", "status", "uri"), cells, empty="no other picture is stored")


def explain(image: Image, data: Data = DATA, as_json: Json = False) -> None:
    """Why a picture is where it is: who voted, the runner-up, what people decided; a new file: where it would be."""
    from agent.reasons import Reasons

    with reading_vectors(data) as queries:
        reasons = Reasons(queries).explain(subject_of(queries, data, image))
    if as_json:
        print_json(reasons)
        return
    print_facts(_facts(reasons))
    print("\nvotes")
    votes = [(vote.cluster_id, vote.cluster_name, vote.share) for vote in reasons.votes]
    print_table(("kind", "name", "share"), votes, empty="no neighbour voted for any kind")
    print("\nvoters")
    head = ("sha256", "cosine", "weight", "kind", "name", "core", "uri")
    cells = [
        (one.sha256[:12], one.cosine, one.weight, one.cluster_id, one.cluster_name, one.core, one.uri)
        for one in reasons.voters
    ]
    print_table(head, cells, empty="nobody")
    if reasons.exemplars:
        print("\nexemplars of the kind")
        like = [(one.sha256[:12], one.cosine, one.uri) for one in reasons.exemplars]
        print_table(("sha256", "cosine", "uri"), like, empty="")


def review(
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many of each at most; 0 means all.")] = LIMIT,
    data: Data = DATA,
    as_json: Json = False,
) -> None:
    """Pictures most worth a look: the most uncertain, then the biggest piles of pictures that belong nowhere."""
    from agent.review import review as worth_a_look

    with reading_vectors(data) as queries:
        rows = worth_a_look(queries, limit or None)
    if as_json:
        print_json(rows)
        return
    head = ("why", "sha256", "kind", "name", "runner-up", "margin", "pile", "uri")
    cells = [
        (row.reason, row.sha256[:12], row.cluster_id, row.cluster_name, row.runner_up, row.margin, row.pile, row.uri)
        for row in rows
    ]
    print_table(head, cells, empty="nothing is in doubt")


def _facts(reasons: Explanation) -> dict[str, object]:
    placed = reasons.placed
    facts: dict[str, object] = {
        "sha256": reasons.sha256,
        "status": reasons.status,
        "kind": reasons.cluster_id,
        "name": reasons.cluster_name,
        "placed by": placed and f"{placed.actor} ({placed.type}, event {placed.event_id})",
        "agent says": _said(reasons.said),
        "runner-up": _runner_up(reasons.runner_up),
        "margin": reasons.margin,
        "core distance": reasons.core_distance,
        "core typical": reasons.core_typical,
        "near copy of": reasons.near_copy_of and reasons.near_copy_of[:12],
        "in window": reasons.in_window,
        "outside": reasons.outside,
        "round": reasons.clustering_id,
        "encoder": reasons.encoder_version,
    }
    return {**facts, "note": reasons.note} if reasons.note else facts


def _said(said: SaidRow) -> str:
    if said.cluster_id is None:
        return "no kind"
    name = f" {said.cluster_name}" if said.cluster_name else ""
    return f"{said.cluster_id}{name} ({'core' if said.core else f'probability {said.probability:.3g}'})"


def _runner_up(vote: KindVote | None) -> str | None:
    return None if vote is None else f"{vote.cluster_id} {vote.cluster_name}".rstrip() + f" ({vote.share:.3g})"


def subject_of(queries: Queries, data: Path, image: str) -> Subject:
    """The picture that a person means, with its vectors; the network is loaded only for one that is not stored."""
    from agent.looking import Subject, stored_subject

    (one,) = meant(queries, [image])
    if isinstance(one, int):
        return stored_subject(queries, one)
    (shown,) = embedded(data, [one])
    return Subject(None, shown.sha256, shown.version, shown.innate_D, shown.learned_D)
