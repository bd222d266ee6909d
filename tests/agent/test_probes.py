"""Drift of a teacher from what was published, on a fixed set."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from agent.probes import Probes

FEATURES = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))


def tail(seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(4, 6, bias=False)


def drift(probes: Probes, teacher: nn.Module) -> float:
    value = probes.drift_of(teacher)
    assert value is not None
    return float(value)


def test_there_is_no_drift_without_pictures_to_tell_it_by() -> None:
    probes = Probes(tail(0))
    assert probes.drift_of(tail(1)) is None
    probes.set_pictures(["a"], FEATURES[:1])
    assert (len(probes), probes.drift_of(tail(1))) == (1, None)


def test_drift_is_measured_from_what_was_published() -> None:
    probes = Probes(tail(0))
    probes.set_pictures(list("abcde"), FEATURES)
    assert drift(probes, tail(0)) == pytest.approx(0, abs=1e-6)
    moved = drift(probes, tail(1))
    with torch.no_grad():
        seen = [tail(seed)(FEATURES) for seed in (0, 1)]
    vectors = [F.normalize(vectors - vectors.mean(0), dim=1) for vectors in seen]
    assert moved == pytest.approx(1 - float((vectors[0] * vectors[1]).sum(1).mean()), abs=1e-5)
    teacher = tail(1)
    probes.publish(teacher)
    assert drift(probes, tail(1)) == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        teacher.weight.zero_()
    assert drift(probes, tail(1)) == pytest.approx(0, abs=1e-6), "what is published stays as it was"
