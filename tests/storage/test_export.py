"""Exports as scripts read them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.export import How, folder_name, write_csv, write_folders, write_json
from storage.queries import Queries
from storage.records import Event, EventType
from storage.rows import ExportRow
from storage.store import Store
from tests.factories import Clock, location, picture, pictures, rejection, round_of, sha

COLUMNS = "sha256,uri,source,captured_at,ingested_at,status,cluster_id,cluster_name,probability,is_core,encoder_version"


@pytest.fixture
def ids(store: Store, tmp_path: Path) -> list[int]:
    """Clustered at two places, a core member, unassigned, pending, gone; and a rejected file."""
    ids = store.add(
        [picture(n, uri=str(tmp_path / "in" / f"{n}.jpg")) for n in range(4)] + [picture(4, uri="/gone.jpg")]
    )
    store.add([], repeats=[(sha(0), location("/copy.jpg"))], rejections=[rejection("/bad.jpg", sha(99))])
    store.mark_missing(["/gone.jpg"])
    labels = {ids[0]: 1, ids[1]: 1, ids[2]: None}
    store.add_clustering(round_of(labels, probability=0.9, core={ids[0]: False, ids[1]: True, ids[2]: False}))
    store.add_events([Event(EventType.RENAMED, 1, detail={"name": 'red, "round"'}, actor="anna")])
    return ids


def test_csv_has_the_columns_of_the_contract(queries: Queries, ids: list[int]) -> None:
    stream = io.StringIO()
    write_csv(queries.export_rows(), stream)
    assert stream.getvalue().splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    told = [
        (row["sha256"][:4], row["status"], row["cluster_id"], row["cluster_name"], row["probability"], row["is_core"])
        for row in rows
    ]
    name = 'red, "round"'
    assert told == [
        (sha(0)[:4], "clustered", "1", name, "0.9", "false"),
        (sha(0)[:4], "clustered", "1", name, "0.9", "false"),
        (sha(1)[:4], "clustered", "1", name, "0.9", "true"),
        (sha(2)[:4], "unassigned", "", "", "0.9", "false"),
        (sha(3)[:4], "pending", "", "", "", "false"),
        (sha(99)[:4], "rejected", "", "", "", "false"),
    ]
    assert [row["encoder_version"] for row in rows] == ["1", "1", "1", "1", "", ""]
    for row in rows:
        for column in ("captured_at", "ingested_at"):
            assert datetime.fromisoformat(row[column]).utcoffset() == timedelta(0)


def test_json_has_the_same_columns(queries: Queries, ids: list[int]) -> None:
    stream = io.StringIO()
    write_json(queries.export_rows(), stream)
    rows = json.loads(stream.getvalue())
    assert ",".join(rows[0]) == COLUMNS
    assert [(row["cluster_id"], row["is_core"], row["probability"]) for row in rows[1:4]] == [
        (1, False, 0.9),
        (1, True, 0.9),
        (None, False, 0.9),
    ]


def test_nothing_to_export() -> None:
    as_csv, as_json = io.StringIO(), io.StringIO()
    write_csv([], as_csv)
    write_json([], as_json)
    assert as_csv.getvalue() == COLUMNS + "\n"
    assert json.loads(as_json.getvalue()) == []


@pytest.mark.parametrize("how", ["symlink", "copy", "hardlink"])
def test_folders(queries: Queries, ids: list[int], tmp_path: Path, how: How) -> None:
    (tmp_path / "in").mkdir()
    for n in (0, 2, 3):
        (tmp_path / "in" / f"{n}.jpg").write_bytes(f"original {n}".encode())
    out = tmp_path / "out"
    assert write_folders(queries.export_rows(), out, how, thumbnail=queries.thumbnail) == 4
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == {
        f"0001 red, _round_/0-{sha(0)[:8]}.jpg": b"original 0",
        f"0001 red, _round_/{sha(1)[:16]}.jpg": picture(1).thumbnail,
        f"unassigned/2-{sha(2)[:8]}.jpg": b"original 2",
        f"pending/3-{sha(3)[:8]}.jpg": b"original 3",
    }
    linked = (out / "0001 red, _round_" / f"0-{sha(0)[:8]}.jpg").is_symlink()
    assert linked == (how == "symlink")
    with pytest.raises(StorageError, match="not an empty folder"):
        write_folders(queries.export_rows(), out, how, thumbnail=queries.thumbnail)


@pytest.mark.parametrize("name", ["a." + "b" * 250, "x" * 251 + ".jpg", "\U0001f600" * 60 + ".photograph"])
def test_names_of_files_stay_as_short_as_a_file_system_wants_them(
    store: Store, queries: Queries, tmp_path: Path, name: str
) -> None:
    original = tmp_path / name
    original.write_bytes(b"original")
    store.add([replace(picture(0), location=location(str(original)))])
    assert write_folders(queries.export_rows(), tmp_path / "out", thumbnail=queries.thumbnail) == 1
    (link,) = (tmp_path / "out" / "pending").iterdir()
    assert link.read_bytes() == b"original"
    assert f"-{sha(0)[:8]}.{original.suffix[1:9]}" in link.name


def test_a_place_whose_text_is_longer_than_any_file_name_is_a_file_that_is_gone(
    store: Store, queries: Queries, tmp_path: Path
) -> None:
    """As it is of a long name that is not UTF-8, each byte of which takes four letters."""
    store.add([replace(picture(0), location=location("/" + "\\xff" * 100 + ".jpg"))])
    assert write_folders(queries.export_rows(), tmp_path / "out", thumbnail=queries.thumbnail) == 1
    (written,) = (tmp_path / "out" / "pending").iterdir()
    assert written.read_bytes() == picture(0).thumbnail


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("", "0007"),
        ("cats", "0007 cats"),
        ("../../etc", "0007 _.._etc"),
        ("a/b\\c:d\n", "0007 a_b_c_d_"),
        ("x" * 99, "0007 " + "x" * 60),
    ],
)
def test_names_of_people_are_safe_as_folders(name: str, folder: str, queries: Queries, ids: list[int]) -> None:
    row: ExportRow = next(iter(queries.export_rows()))
    assert folder_name(replace(row, cluster_id=7, cluster_name=name)) == folder


def test_the_past_is_exported_as_it_was(store: Store, queries: Queries, clock: Clock) -> None:
    ids = store.add(pictures(range(2)))
    before = clock.now
    clock.tick()
    store.add_clustering(round_of(dict.fromkeys(ids, 1)))
    store.mark_missing(["/pictures/0.jpg"])
    assert [(row.status, row.encoder_version) for row in queries.export_rows(as_of=before)] == [("pending", None)] * 2
    assert [(row.status, row.encoder_version) for row in queries.export_rows()] == [("clustered", 1)]
