"""The real command answers for single pictures, beside an agent and for files that it has never seen."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Taxon
from tests.e2e.test_once import fill
from tests.pictures import jpeg

SMALL = ("encoder.backbone=small", "encoder.weights=none", "encoder.image_px=32", "decode.workers=1")


def test_a_new_file_has_the_neighbours_that_it_has_once_it_is_stored(taxon: Taxon) -> None:
    """Its vector, from a process of its own, is the one that the agent stores; under a learned version, too."""
    learning = (*SMALL, "learner.views_per_picture=4", "learner.stream_batch=16", "learner.replay_batch=16")
    fill(taxon, 20)
    taxon.once(*learning, learning=True)
    assert taxon.json("status")["encoder_version"] >= 2
    new = taxon.folder.parent / "new.jpg"
    new.write_bytes(jpeg("rings", 500))
    shown = taxon.json("nearest", str(new), "--count", "5")
    assert taxon.json("status")["pictures"] == 80
    (taxon.folder / "new.jpg").write_bytes(new.read_bytes())
    taxon.once(*SMALL)
    stored = taxon.json("nearest", str(new), "--count", "5")
    assert stored[0]["sha256"] == shown[0]["sha256"]
    # the centres moved a little, since one more picture is in the window now
    assert [row["cosine"] for row in stored] == pytest.approx([row["cosine"] for row in shown], abs=0.05)
