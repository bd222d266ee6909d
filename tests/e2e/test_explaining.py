"""The real command answers for single pictures, beside an agent and for files that it has never seen."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Taxon
from tests.e2e.test_once import fill
from tests.pictures import jpeg

SMALL = ("encoder.backbone=small", "encoder.weights=none", "encoder.image_px=32", "decode.workers=1")


@pytest.mark.slow
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


def kind_of(taxon: Taxon, name: str) -> tuple[str, str]:
    row = taxon.rows()[name]
    return row["cluster_id"], row["cluster_name"]


@pytest.mark.slow
def test_a_few_examples_teach_a_kind_beside_an_agent_and_that_stays(taxon: Taxon) -> None:
    """New pictures among them are stored; later rounds and a learned version respect it; undo gives all back."""
    fill(taxon, 20)
    taxon.once(*SMALL)
    new = taxon.folder.parent / "shown.jpg"
    new.write_bytes(jpeg("rings", 700))
    agent = taxon.start(*SMALL)
    taxon.wait_for(lambda: taxon.json("status")["daemon"] == "running")
    examples = [str(taxon.folder / f"rings-{seed:03d}.jpg") for seed in (1, 2, 3)]
    before = taxon.rows()["disc-000.jpg"]["cluster_id"]
    taught = taxon.json("teach", "rings", *examples, str(new))
    assert (taught["did"], taught["pictures"]) == ("named", 4)
    named = (str(taught["cluster_id"]), "rings")
    assert kind_of(taxon, "rings-002.jpg") == kind_of(taxon, "shown.jpg") == named
    assert taxon.rows()["disc-000.jpg"]["cluster_id"] == before
    reasons = taxon.json("explain", str(new))
    assert (reasons["cluster_name"], reasons["placed"]["type"]) == ("rings", "taught")
    fill(taxon, 5, start=20)
    taxon.wait_for(lambda: (s := taxon.json("status"))["pictures"] == 101 and s["behind"] == 0)
    assert taxon.stop(agent) == 0
    learning = (*SMALL, "learner.views_per_picture=4", "learner.stream_batch=16", "learner.replay_batch=16")
    taxon.once(*learning, learning=True)
    assert taxon.json("status")["encoder_version"] >= 2
    assert kind_of(taxon, "rings-002.jpg") == kind_of(taxon, "shown.jpg") == named
    assert taxon.json("explain", str(new))["encoder_version"] >= 2
    taxon.call("undo", str(taught["event"]))
    assert "rings" not in {kind["name"] for kind in taxon.json("clusters")}
    assert taxon.json("explain", str(new))["placed"] is None


@pytest.mark.slow
def test_on_handwritten_digits(taxon: Taxon) -> None:
    """The bundled network: neighbours are of the same digit, and one example names the kind of its digit."""
    taxon.call_bare("demo", "--out", str(taxon.folder), "--limit", "350", "--rate", "100000")
    taxon.once("cluster.every=400")
    one = taxon.folder / "digit-0-004.png"
    near = taxon.json("nearest", str(one), "--count", "10")
    assert sum("/digit-0-" in row["uri"] for row in near) >= 9
    reasons = taxon.json("explain", str(one))
    assert sum("/digit-0-" in row["uri"] for row in reasons["voters"]) >= len(reasons["voters"]) * 0.8
    assert reasons["votes"][0]["cluster_id"] == reasons["cluster_id"]
    taxon.call("teach", "nought", str(one))
    named = [name for name, row in taxon.rows().items() if row["cluster_name"] == "nought"]
    assert len(named) > 100
    assert sum(name.startswith("digit-0-") for name in named) > 0.8 * len(named)
    assert all(row["reason"] in ("uncertain", "unassigned") for row in taxon.json("review"))
