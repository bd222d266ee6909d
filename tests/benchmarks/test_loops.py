from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from agent.device import HOST
from agent.encoder import build_encoder
from agent.simclr import nt_xent
from benchmarks.loops import Bare, Ours, contrast, replayed
from tests.learners import small_config


def vectors(seed: int, rows: int = 6) -> Tensor:
    return torch.randn(rows, 5, generator=Generator().manual_seed(seed))


def test_every_loop_minimises_the_same_contrast() -> None:
    first, second = vectors(1), vectors(2)
    expected = nt_xent(first, second, 0.2)
    torch.testing.assert_close(contrast(torch.cat([first, second]), 0.2), expected)
    loss = pytest.importorskip("lightly.loss")
    torch.testing.assert_close(loss.NTXentLoss(temperature=0.2)(first, second), expected)


def test_the_replayed_pictures_come_last_in_both_views() -> None:
    assert replayed(torch.arange(8).view(8, 1), 1).flatten().tolist() == [3, 7]


def test_the_plain_loop_trains_what_we_train() -> None:
    config = small_config()
    encoder = build_encoder(config.encoder, config.seed)
    bare, ours = Bare(config, encoder, HOST, compiled=False), Ours(config, encoder, HOST, compiled=False, threads=1)
    groups = ours.learner._student._optimizer.param_groups
    assert sorted(p.numel() for p in bare.trained) == sorted(p.numel() for g in groups for p in g["params"])
    before = [p.detach().clone() for p in bare.trained]
    bare(1)
    assert all(not torch.equal(old, new) for old, new in zip(before, bare.trained, strict=True))
