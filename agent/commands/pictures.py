"""Verbs that list and export pictures. They import neither the agent nor torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from agent.commands.doors import reading
from agent.commands.options import DATA, AsOf, Data, Form, How, Json, OfCluster, Since, Status, Until, moment
from agent.commands.output import print_facts, print_json, print_table

PAGE = 100


def pictures(
    data: Data = DATA,
    of_cluster: OfCluster = None,
    status: Annotated[Status | None, typer.Option("--status", help="Only with this status.")] = None,
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Short for --status unassigned.")] = False,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many at most; 0 means all.")] = PAGE,
    as_json: Json = False,
) -> None:
    """Pictures, by kind, status and the time they were taken."""
    if unassigned and status not in (None, Status.UNASSIGNED):
        raise typer.BadParameter(f"--unassigned contradicts --status {status}", param_hint="--unassigned")
    with reading(data) as queries:
        rows = queries.pictures(
            cluster=of_cluster,
            status=None if status is None else status.value,
            unassigned=unassigned,
            since=moment(since, "--since"),
            until=moment(until, "--until"),
            limit=limit + 1 if limit else None,
            as_of=moment(as_of, "--as-of"),
        )
    more = bool(limit) and len(rows) > limit
    rows = rows[:limit] if limit else rows
    if as_json:
        print_json(rows)
    else:
        head = ("sha256", "taken", "status", "kind", "name", "probability", "uri", "reason")
        cells = [
            (row.sha256[:12], row.captured_at, row.status, row.cluster_id, row.cluster_name, row.probability, row.uri,
             row.reason)
            for row in rows
        ]  # fmt: skip
        print_table(head, cells, empty="no pictures")
    if more:
        print(f"the first {limit}; --limit 0 shows all", file=sys.stderr)


def picture(
    sha256: Annotated[str, typer.Argument(metavar="SHA", help="sha256 of the picture, or its first digits.")],
    data: Data = DATA,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """One picture: where it belongs, where it lies, and where it has belonged."""
    with reading(data) as queries:
        detail = queries.picture(sha256, moment(as_of, "--as-of"))
    if as_json:
        print_json(detail)
        return
    row = detail.picture
    print_facts(
        {
            "sha256": row.sha256, "status": row.status, "kind": row.cluster_id, "name": row.cluster_name,
            "probability": row.probability, "core": row.is_core, "taken": row.captured_at,
            "arrived": row.ingested_at, "lies at": detail.uris,
            "repeats": detail.repeats,
        }
    )  # fmt: skip
    print("\nbelonged")
    head = ("since", "kind", "name", "probability", "core", "by", "encoder")
    cells = [
        (one.at, one.cluster_id, one.cluster_name, one.probability, one.is_core, one.actor, one.encoder_version)
        for one in detail.belonged
    ]
    print_table(head, cells, empty="nowhere yet")


def changes(
    data: Data = DATA,
    since: Since = None,
    until: Until = None,
    encoder: Annotated[
        int | None, typer.Option("--encoder", metavar="VERSION", help="By the first round under this encoder version.")
    ] = None,
    of_cluster: OfCluster = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many at most; 0 means all.")] = PAGE,
    as_json: Json = False,
) -> None:
    """Pictures that changed their kind between two moments, or with an encoder version; without, by the last change."""
    if encoder is not None and (since or until):
        raise typer.BadParameter(
            "--encoder stands for two moments; leave --since and --until out", param_hint="--encoder"
        )
    with reading(data) as queries:
        rows = queries.changes(
            moment(since, "--since"), moment(until, "--until"), encoder, of_cluster, limit + 1 if limit else None
        )
    more = bool(limit) and len(rows) > limit
    rows = rows[:limit] if limit else rows
    if as_json:
        print_json(rows)
    else:
        cells = [(row.sha256[:12], row.was, row.belongs, row.uri) for row in rows]
        print_table(("sha256", "was in", "is in", "uri"), cells, empty="no picture changed its kind")
    if more:
        print(f"the first {limit}; --limit 0 shows all", file=sys.stderr)


def export(
    form: Annotated[Form, typer.Option("--format", help="csv and json go to stdout without --out.")] = Form.CSV,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="File, or a new folder for folders.")
    ] = None,
    how: Annotated[How, typer.Option("--how", help="How pictures come into folders.")] = How.SYMLINK,
    data: Data = DATA,
    as_of: AsOf = None,
) -> None:
    """All pictures with their kinds: a table, or a folder for each kind."""
    from storage.export import write_csv, write_folders, write_json

    if form is Form.FOLDERS and out is None:
        raise typer.BadParameter("folders need a place; give --out PATH", param_hint="--out")
    with reading(data) as queries:
        rows = queries.export_rows(moment(as_of, "--as-of"))
        if form is Form.FOLDERS:
            assert out is not None
            count = write_folders(rows, out, how.value, thumbnail=queries.thumbnail)
            print(f"{count} pictures in {out}", file=sys.stderr)
            return
        with _target(out) as stream:
            (write_csv if form is Form.CSV else write_json)(rows, stream)


@contextmanager
def _target(out: Path | None) -> Iterator[TextIO]:
    """Standard output, a device or pipe, or a file that appears under its name only when it is whole.

    A link stays, and what it leads to is written.
    """
    if out is None:
        yield sys.stdout
        return
    if out.is_dir():
        raise typer.BadParameter(f"{out} is a folder; name a file", param_hint="--out")
    if out.exists() and not out.is_file():  # `/dev/null` must not become a file
        with out.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    out = Path(os.path.realpath(out))
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
