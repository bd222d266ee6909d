"""`run --once`: everything there is becomes kinds, and doing it again changes nothing."""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.conftest import Taxon
from tests.pictures import FAMILIES, jpeg


def fill(taxon: Taxon, per_family: int, start: int = 0) -> None:
    for family in FAMILIES:
        for seed in range(start, start + per_family):
            (taxon.folder / f"{family}-{seed:03d}.jpg").write_bytes(jpeg(family, seed))


def test_once_sorts_a_folder_and_is_repeatable(taxon: Taxon) -> None:
    fill(taxon, 30)
    (taxon.folder / "notes.txt").write_text("no picture")
    taxon.once()
    rows = taxon.rows()
    assert len(rows) == 120
    assert {row["status"] for row in rows.values()} <= {"clustered", "unassigned"}
    kinds = {row["cluster_id"] for row in rows.values() if row["cluster_id"]}
    assert len(kinds) >= 2
    listed = {str(kind["id"]) for kind in taxon.json("clusters")}
    assert kinds <= listed
    before, places = taxon.json("status"), on_map(taxon)
    assert len(places) == 120
    taxon.once()
    after = taxon.json("status")
    assert after["clustering_id"] == before["clustering_id"]
    assert taxon.rows() == rows
    assert on_map(taxon) == places
    gallery = taxon.data.parent / "gallery"
    taxon.call("gallery", "--out", str(gallery))
    assert (gallery / "map.svg").read_text().count("h0") == 120
    assert (gallery / "map.png").stat().st_size > 5_000


@pytest.mark.slow
def test_ids_survive_growth_and_learning(taxon: Taxon) -> None:
    """A published encoder version moves every embedding; the ids stay with their members."""
    fast = ("learner.views_per_picture=6", "cluster.every=60", "encoder.image_px=32")
    fill(taxon, 25)
    taxon.once(*fast, learning=True)
    first, places = taxon.rows(), on_map(taxon)
    version = taxon.json("status")["encoder_version"]
    assert version >= 2
    fill(taxon, 10, start=25)
    taxon.once(*fast, learning=True)
    second = taxon.rows()
    assert len(second) == 140
    assert taxon.json("status")["encoder_version"] > version
    assert taxon.json("status")["learner_debt"] == 0
    moved = sum(second[name]["cluster_id"] != row["cluster_id"] for name, row in first.items() if row["cluster_id"])
    assert moved <= len(first) // 4
    events = {event["type"] for event in taxon.json("history")}
    assert {"emerged", "encoder_published"} <= events
    later = on_map(taxon)
    assert len(later) == 140
    across = max(x for x, _ in places.values()) - min(x for x, _ in places.values())
    strides = sorted(math.dist(place, later[picture]) for picture, place in places.items())
    assert strides[len(strides) // 2] < across / 5


def test_broken_files_are_recorded_facts(taxon: Taxon) -> None:
    whole = jpeg("disc", 1)
    (taxon.folder / "good.jpg").write_bytes(whole)
    (taxon.folder / "copy.jpg").write_bytes(whole)
    (taxon.folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (taxon.folder / "empty.jpg").write_bytes(b"")
    (taxon.folder / "text.png").write_text("not a picture at all")
    (taxon.folder / "picture.without-suffix").write_bytes(jpeg("bars", 2))
    os.symlink("/nonexistent", taxon.folder / "dangling.jpg")
    taxon.once()
    status = {name: row["status"] for name, row in taxon.rows().items()}
    assert {name for name, s in status.items() if s == "rejected"} == {"truncated.jpg", "empty.jpg", "text.png"}
    assert {"good.jpg", "copy.jpg", "picture.without-suffix"} <= set(status)
    assert taxon.json("status")["pictures"] == 2
    rejected = taxon.json("pictures", "--status", "rejected")
    assert all(row["reason"] for row in rejected)


def on_map(taxon: Taxon) -> dict[int, tuple[float, float]]:
    with closing(sqlite3.connect(taxon.data / "taxon.db")) as database:
        return {picture: (x, y) for picture, x, y in database.execute("select picture_id, x, y from layouts")}
