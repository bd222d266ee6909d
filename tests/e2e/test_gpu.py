"""The real command with `configs/gpu.yaml`, where there is a GPU."""

from __future__ import annotations

import pytest
import torch

from tests.e2e.conftest import ROOT, Taxon
from tests.e2e.test_once import fill


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: torch.cuda.is_available() is false")
def test_a_folder_is_learned_and_sorted_on_a_gpu(taxon: Taxon) -> None:
    fill(taxon, 100)
    small = ("learner.stream_batch=32", "learner.replay_batch=64", "learner.views_per_picture=24", "cluster.every=200")
    settings = [part for setting in small for part in ("--set", setting)]
    taxon.call("run", "--once", "--watch", str(taxon.folder), "--config", str(ROOT / "configs/gpu.yaml"), *settings)
    status = taxon.json("status")
    assert status["encoder_version"] >= 2
    assert status["learner_debt"] == 0
    kinds = {row["cluster_id"] for row in taxon.rows().values() if row["cluster_id"]}
    assert len(kinds) >= 2
