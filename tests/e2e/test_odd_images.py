"""Every odd, hostile and broken image of the collection, put into the watched folder of the real command."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from agent.config import FolderConfig
from tests.e2e.conftest import ROOT, Taxon

DATASETS = Path(os.environ.get("TAXON_DATASETS", ROOT.parent / "shared" / "data"))
ODD = DATASETS / "odd-images.zip"
DECODE = 90
"""What Pillow decodes, less the few formats that neither a suffix nor the first bytes give away."""


@pytest.mark.skipif(not ODD.is_file(), reason=f"{ODD} is absent; set TAXON_DATASETS to the folder that holds it")
def test_each_odd_image_is_stored_or_rejected_with_a_reason(taxon: Taxon) -> None:
    with zipfile.ZipFile(ODD) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for i, member in enumerate(members):
            name = f"{i:03d}-{Path(member.filename).name}"
            (taxon.folder / name).write_bytes(archive.read(member))
    taxon.once("folder.settle_s=0.1")
    rows = taxon.rows()
    silent = {path for path in taxon.folder.iterdir() if path.name not in rows}
    assert not [path for path in silent if path.suffix.lower() in FolderConfig().suffixes or not path.stat().st_size]
    rejected = taxon.json("pictures", "--status", "rejected", "--limit", "0")
    reasons = {Path(row["uri"]).name: row["reason"] for row in rejected}
    for name, row in rows.items():
        assert row["status"] in ("clustered", "unassigned", "rejected")
        assert row["status"] != "rejected" or reasons[name]
    assert len(rows) - len(reasons) >= DECODE
