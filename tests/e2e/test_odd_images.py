"""Every odd, hostile and broken image of the collection, put into the watched folder of the real command."""

from __future__ import annotations

import os
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from agent.config import FolderConfig
from tests.e2e.conftest import CHEAP, OFF, ROOT, Taxon

DATASETS = Path(os.environ.get("TAXON_DATASETS", ROOT.parent / "shared" / "data"))
ODD = DATASETS / "odd-images.zip"
MANY = 289
DECODE = 90
"""What Pillow decodes, less the few formats that neither a suffix nor the first bytes give away."""
DIED = re.compile("took longer|crashed|exited")
"""What is said of a decoder that hung or died of a picture."""


WITH_IT = pytest.mark.skipif(
    not ODD.is_file(), reason=f"{ODD} is absent; set TAXON_DATASETS to the folder that holds it"
)


@WITH_IT
def test_each_odd_image_is_stored_or_rejected_with_a_reason(taxon: Taxon) -> None:
    with zipfile.ZipFile(ODD) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        for i, member in enumerate(members):
            name = f"{i:03d}-{Path(member.filename).name}"
            (taxon.folder / name).write_bytes(archive.read(member))
    assert len(members) == MANY
    taxon.once("folder.settle_s=0.1", "folder.settle_paged_s=0.1")
    rows = taxon.rows()
    silent = {path for path in taxon.folder.iterdir() if path.name not in rows}
    assert not [path for path in silent if path.suffix.lower() in FolderConfig().suffixes or not path.stat().st_size]
    rejected = taxon.json("pictures", "--status", "rejected", "--limit", "0")
    reasons = {Path(row["uri"]).name: row["reason"] for row in rejected}
    for name, row in rows.items():
        assert row["status"] in ("clustered", "unassigned", "rejected")
        assert row["status"] != "rejected" or reasons[name]
    assert not [reason for reason in reasons.values() if DIED.search(reason)]
    assert len(rows) - len(reasons) >= DECODE


@WITH_IT
@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_a_wrong_suffix_changes_nothing(taxon: Taxon) -> None:
    """Each image under each suffix: what it is is told by its bytes, so all copies fare alike."""
    with zipfile.ZipFile(ODD) as archive:
        contents = [archive.read(member) for member in archive.infolist() if not member.is_dir()]
    for suffix in FolderConfig().suffixes:
        (taxon.folder / suffix[1:]).mkdir()
        for number, content in enumerate(contents):
            (taxon.folder / suffix[1:] / f"{number:03d}{suffix}").write_bytes(content)
    taxon.call("run", "--once", "--watch", str(taxon.folder), *OFF, *CHEAP, timeout_s=1_500)
    fared: dict[str, set[bool]] = {}
    seen: Counter[str] = Counter()
    for row in taxon.export():
        stem = Path(row["uri"]).stem
        fared.setdefault(stem, set()).add(row["status"] == "rejected")
        seen[stem] += 1
    assert set(seen.values()) == {len(FolderConfig().suffixes)}
    assert len(seen) == len(contents) == MANY
    rejected = taxon.json("pictures", "--status", "rejected", "--limit", "0")
    assert not [row["uri"] for row in rejected if DIED.search(row["reason"])]
    assert [stem for stem, ways in fared.items() if len(ways) != 1] == []
    assert sum(ways == {False} for ways in fared.values()) >= DECODE
