from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agent.config import EwcConfig
from agent.ewc import StreamEWC

CHANCE = np.random.default_rng(0)
INPUTS = torch.tensor(CHANCE.normal(size=(20, 3)) * [0.1, 1.0, 3.0], dtype=torch.float32)
TARGETS = torch.tensor(CHANCE.normal(size=20), dtype=torch.float32)
WEIGHTS = torch.tensor([[0.5, -1.0, 2.0]])


def linear(weights: Tensor) -> nn.Linear:
    model = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(weights)
    return model


def squared_errors(model: nn.Module) -> Iterator[Tensor]:
    for x, y in zip(INPUTS, TARGETS, strict=True):
        yield 0.5 * (model(x) - y).square()


def known_fisher(weights: Tensor) -> Tensor:
    """For half squared errors the gradient of a sample is (w x - y) x."""
    residual = INPUTS @ weights.flatten() - TARGETS
    return (residual.view(-1, 1) * INPUTS).square().mean(dim=0, keepdim=True)


def fisher_of(ewc: StreamEWC) -> Tensor:
    return ewc.state_dict()["fisher.weight"]


def test_fisher_of_a_quadratic() -> None:
    ewc = StreamEWC(EwcConfig())
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    expected = known_fisher(WEIGHTS)
    torch.testing.assert_close(fisher_of(ewc), expected / expected.mean())
    assert torch.equal(ewc.state_dict()["anchor.weight"], WEIGHTS)


def test_fisher_of_groups_is_that_of_single_samples_on_average() -> None:
    """Not so for the gradient of a group's mean: that squares the mean, which here is most of it."""

    def in_fours(model: nn.Module) -> Iterator[Tensor]:
        for _ in range(200):
            for group in range(0, 20, 4):
                residual = model(INPUTS[group : group + 4]).flatten() - TARGETS[group : group + 4]
                yield 0.5 * residual.square()

    ewc = StreamEWC(EwcConfig())
    ewc.consolidate(linear(WEIGHTS), in_fours)
    expected = known_fisher(WEIGHTS)
    torch.testing.assert_close(fisher_of(ewc), expected / expected.mean(), rtol=0.1, atol=0.02)


def test_fisher_is_clipped() -> None:
    ewc = StreamEWC(EwcConfig(clip=1.5))
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    assert float(fisher_of(ewc).max()) == 1.5


def test_scale_of_the_loss_does_not_matter() -> None:
    plain, large = StreamEWC(EwcConfig()), StreamEWC(EwcConfig())
    plain.consolidate(linear(WEIGHTS), squared_errors)
    large.consolidate(linear(WEIGHTS), lambda model: (1000 * loss for loss in squared_errors(model)))
    torch.testing.assert_close(fisher_of(plain), fisher_of(large))


def test_estimates_are_averaged_and_the_anchor_moves() -> None:
    ewc = StreamEWC(EwcConfig(decay=0.9))
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    ewc.consolidate(linear(-WEIGHTS), squared_errors)
    first, second = (known_fisher(w) / known_fisher(w).mean() for w in (WEIGHTS, -WEIGHTS))
    torch.testing.assert_close(fisher_of(ewc), 0.9 * first + 0.1 * second)
    assert torch.equal(ewc.state_dict()["anchor.weight"], -WEIGHTS)
    assert len(ewc.importances) == len(ewc.saved_params) == 1


def test_gradient_steps_and_pulls_settle_where_loss_and_penalty_balance() -> None:
    """Minimum of k/2 (p - b)^2 + strength F/2 (p - p0)^2 is (k b + strength F p0) / (k + strength F)."""
    k, b, lr = 2.0, torch.tensor([[3.0, 3.0, 3.0]]), 0.05
    ewc = StreamEWC(EwcConfig(strength=4.0))
    model = linear(WEIGHTS)
    ewc.consolidate(model, squared_errors)
    for _ in range(2000):
        with torch.no_grad():
            model.weight -= lr * k * (model.weight - b)
        ewc.pull(model, lr)
    stiffness = 4.0 * fisher_of(ewc)
    torch.testing.assert_close(model.weight.detach(), (k * b + stiffness * WEIGHTS) / (k + stiffness))


@pytest.mark.parametrize("strength", [1e3, 1e9])
def test_no_strength_is_unstable(strength: float) -> None:
    ewc = StreamEWC(EwcConfig(strength=strength))
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    away = linear(WEIGHTS + 1)
    ewc.pull(away, lr=1.0)
    assert ((away.weight - WEIGHTS).abs() < 1).all()


def test_the_pull_reports_how_far_it_moved() -> None:
    ewc = StreamEWC(EwcConfig(strength=1.0))
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    away = linear(WEIGHTS + 1)
    moved = ewc.pull(away, lr=0.5)
    assert float(moved) == pytest.approx(float((away.weight.detach() - WEIGHTS - 1).norm()))


def test_frozen_parameters_take_no_part() -> None:
    model = nn.Linear(3, 1)
    model.bias.requires_grad_(False)
    ewc = StreamEWC(EwcConfig())
    ewc.consolidate(model, squared_errors)
    assert [key for key in ewc.state_dict() if key.startswith("fisher")] == ["fisher.weight"]
    ewc.pull(model, lr=1.0)


def test_losses_without_gradient_protect_nothing_and_break_nothing() -> None:
    def flat(model: nn.Module) -> Iterator[Tensor]:
        return iter([0 * model(INPUTS[0])])

    ewc = StreamEWC(EwcConfig())
    ewc.consolidate(linear(WEIGHTS), flat)
    assert not fisher_of(ewc).any()


def test_it_goes_on_from_its_state() -> None:
    ewc, other = StreamEWC(EwcConfig()), StreamEWC(EwcConfig())
    ewc.consolidate(linear(WEIGHTS), squared_errors)
    other.load_state_dict({key: tensor.clone() for key, tensor in ewc.state_dict().items()}, ewc.consolidations)
    for either in (ewc, other):
        either.consolidate(linear(2 * WEIGHTS), squared_errors)
    assert torch.equal(fisher_of(ewc), fisher_of(other))
