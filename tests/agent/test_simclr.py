from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from agent.device import HOST
from agent.simclr import SimCLR, nt_xent, nt_xent_of_each


def two_views(pictures: int, dims: int) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(pictures * dims)
    return torch.randn(pictures, dims, generator=generator), torch.randn(pictures, dims, generator=generator)


def algorithm_1(first: Tensor, second: Tensor, temperature: float, never: set[tuple[int, int]]) -> float:
    """The loops of Chen et al. 2020, algorithm 1, pair by pair; views 2k and 2k + 1 are of picture k."""
    views = [v for pair in zip(first, second, strict=True) for v in pair]

    def similarity(i: int, j: int) -> float:
        return float(torch.dot(views[i], views[j]) / (views[i].norm() * views[j].norm()))

    def loss(i: int, j: int) -> float:
        denominator = 0.0
        for k in range(len(views)):
            same_pair = k == j
            if k != i and (same_pair or (i // 2, k // 2) not in never):
                denominator += math.exp(similarity(i, k) / temperature)
        return -math.log(math.exp(similarity(i, j) / temperature) / denominator)

    pictures = len(first)
    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(pictures)) / (2 * pictures)


@pytest.mark.parametrize("pictures", [1, 2, 5])
@pytest.mark.parametrize("dims", [2, 16])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_equals_the_loops_of_the_paper(pictures: int, dims: int, temperature: float) -> None:
    first, second = two_views(pictures, dims)
    expected = algorithm_1(first, second, temperature, never=set())
    assert float(nt_xent(first, second, temperature)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_near_copies_are_never_negatives() -> None:
    first, second = two_views(4, 8)
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0, 2] = mask[2, 0] = True
    expected = algorithm_1(first, second, 0.3, never={(0, 2), (2, 0)})
    assert float(nt_xent(first, second, 0.3, mask)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("pictures", [2, 7, 64])
def test_closed_form_for_embeddings_that_are_all_alike(pictures: int) -> None:
    alike = torch.ones(pictures, 8)
    assert float(nt_xent(alike, alike, 0.2)) == pytest.approx(math.log(2 * pictures - 1), rel=1e-5)


def test_pictures_that_may_not_repel_leave_no_gradient_between_them() -> None:
    first, second = two_views(3, 8)
    first.requires_grad_()
    everything = torch.ones(3, 3, dtype=torch.bool)
    loss = nt_xent(first, second, 0.2, everything)
    assert float(loss.detach()) == 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None
    assert not first.grad.any()


def test_length_of_the_vectors_does_not_matter() -> None:
    first, second = two_views(5, 8)
    assert float(nt_xent(3 * first, second / 7, 0.2)) == pytest.approx(float(nt_xent(first, second, 0.2)), rel=1e-5)


def test_shares_of_single_pictures_add_up_to_the_loss() -> None:
    first, second = two_views(6, 8)
    everyone = torch.cat([first, second])
    negative_NN = ~torch.eye(6, dtype=torch.bool)
    shares = nt_xent_of_each(first, second, everyone, negative_NN.repeat(1, 2), 0.2)
    assert shares.shape == (6,)
    assert float(shares.mean()) == pytest.approx(float(nt_xent(first, second, 0.2)), rel=1e-5)


def test_the_objective_is_nt_xent_of_what_its_head_projects() -> None:
    embedded_2ND = torch.cat(two_views(6, 8))
    objective = SimCLR(8, 16, 4, temperature=0.2, device=HOST)
    mask = torch.eye(6, dtype=torch.bool)
    loss = objective(embedded_2ND, None, mask)
    first, second = objective.projector(embedded_2ND).detach().chunk(2)
    assert float(loss.detach()) == pytest.approx(algorithm_1(first, second, 0.2, never=set()), rel=1e-4)

    targets = objective.targets(embedded_2ND)
    groups = (slice(0, 4), slice(4, 6))
    views = embedded_2ND.view(2, 6, 8)
    shares = [objective.of_each(views[:, rows].flatten(0, 1), targets, rows, mask) for rows in groups]
    assert float(torch.cat(shares).mean().detach()) == pytest.approx(float(loss.detach()), rel=1e-5)
    assert not targets.requires_grad


def test_it_is_computed_in_full_precision_where_networks_are_not() -> None:
    first, second = two_views(8, 16)
    others = torch.cat([first, second])
    negative = ~torch.eye(8, dtype=torch.bool).repeat(1, 2)
    exact = nt_xent(first, second, 0.1), nt_xent_of_each(first, second, others, negative, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(nt_xent(first, second, 0.1), exact[0])
        assert torch.equal(nt_xent_of_each(first, second, others, negative, 0.1), exact[1])
