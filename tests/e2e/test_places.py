"""Files that move, go and come back, through the real command: picture, kind and name stay what they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.e2e.conftest import OFF, Taxon
from tests.pictures import FAMILIES, draw, jpeg

pytestmark = pytest.mark.slow


def fill(folder: Path) -> None:
    for family in FAMILIES:
        for seed in range(30):
            (folder / f"{family}-{seed:03d}.jpg").write_bytes(jpeg(family, seed))


def ask(taxon: Taxon, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(taxon.data / "taxon.db")) as database:
        return database.execute(query, values).fetchall()


def standing(taxon: Taxon) -> dict[str, object]:
    """What must not change when nothing new is seen."""
    status = taxon.json("status")
    return {key: status[key] for key in ("pictures", "pending", "learner_debt", "clustering_id", "kinds")}


def named_kind(taxon: Taxon, name: str) -> list[dict[str, str]]:
    """Name the largest kind; the rows of its pictures."""
    largest = max(taxon.json("clusters"), key=lambda kind: int(kind["size"]))
    taxon.call("rename", str(largest["id"]), name)
    return [row for row in taxon.export() if row["cluster_id"] == str(largest["id"])]


def test_what_moves_into_a_sub_folder_or_another_watched_folder_keeps_picture_kind_and_name(taxon: Taxon) -> None:
    fill(taxon.folder)
    second = taxon.folder.with_name("second")
    (taxon.folder / "sub").mkdir()
    second.mkdir()
    both = ("run", "--once", "--watch", str(taxon.folder), "--watch", str(second), *OFF)
    taxon.call(*both)
    before, rows = standing(taxon), named_kind(taxon, "these")
    assert len(rows) >= 20
    for number, row in enumerate(rows):
        path = Path(row["uri"])
        path.rename((taxon.folder / "sub" if number % 2 else second) / path.name)
    taxon.call(*both)
    assert standing(taxon) == before
    after = taxon.rows()
    for number, row in enumerate(rows):
        moved = after[Path(row["uri"]).name]
        home = taxon.folder / "sub" if number % 2 else second
        assert Path(moved["uri"]).parent == home
        assert moved["source"] == str(taxon.folder if number % 2 else second)
        assert (moved["sha256"], moved["cluster_id"], moved["cluster_name"]) == (
            row["sha256"], row["cluster_id"], "these",
        )  # fmt: skip
        assert (moved["captured_at"], moved["ingested_at"]) == (row["captured_at"], row["ingested_at"])


def test_what_is_deleted_is_missing_and_not_forgotten_and_may_come_back(taxon: Taxon) -> None:
    fill(taxon.folder)
    taxon.once()
    before, row = standing(taxon), named_kind(taxon, "these")[0]
    path = Path(row["uri"])
    content = path.read_bytes()
    path.unlink()
    taxon.once()
    assert standing(taxon) == before
    ((missing_at, thumbnail_bytes),) = ask(
        taxon,
        "SELECT l.missing_at, length(t.image) FROM pictures p JOIN locations l ON l.picture_id = p.id"
        " JOIN thumbnails t ON t.picture_id = p.id WHERE p.sha256 = ?",
        row["sha256"],
    )
    assert missing_at is not None
    assert thumbnail_bytes > 0
    assert path.name not in taxon.rows()
    assert taxon.json("picture", row["sha256"])["picture"]["cluster_id"] == int(row["cluster_id"])
    path.write_bytes(content)
    taxon.once()
    assert standing(taxon) == before
    assert taxon.rows()[path.name] == row
    assert ask(taxon, "SELECT count(*) FROM locations WHERE missing_at IS NULL") == [(len(FAMILIES) * 30,)]


def test_when_a_picture_was_taken_is_kept_apart_from_when_it_came(taxon: Taxon) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2023:07:14 08:30:00", ExifTags.Base.OffsetTimeOriginal: "+02:00"}
    )
    draw("disc", 0).save(taxon.folder / "card.jpg", exif=exif)
    taxon.once()
    row = taxon.rows()["card.jpg"]
    assert row["captured_at"].startswith("2023-07-14T06:30:00")
    assert row["ingested_at"] > "2026"
