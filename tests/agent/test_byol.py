from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from agent.byol import Byol, byol_of_each
from agent.device import HOST
from agent.learner import Learner
from benchmarks.representation import effective_rank
from tests.learners import new_learner, observations, small_config

BYOL = small_config(learner={"objective": "byol", "lr": 1e-3})


def random(rows: int, dims: int, seed: int) -> Tensor:
    return torch.randn(rows, dims, generator=Generator().manual_seed(seed))


def equation_2(prediction: Tensor, target: Tensor) -> float:
    """|| q / |q| - z / |z| ||^2, number by number."""
    q, z = prediction / prediction.norm(), target / target.norm()
    return float(sum((a - b) ** 2 for a, b in zip(q.tolist(), z.tolist(), strict=True)))


@pytest.mark.parametrize(("pictures", "dims"), [(1, 2), (5, 16)])
def test_equals_equation_2_of_the_paper_both_ways(pictures: int, dims: int) -> None:
    predicted, target = random(2 * pictures, dims, 0), random(2 * pictures, dims, 1)
    expected = [
        equation_2(predicted[i], target[pictures + i]) + equation_2(predicted[pictures + i], target[i])
        for i in range(pictures)
    ]
    assert byol_of_each(predicted, target).tolist() == pytest.approx(expected, rel=1e-4)


def test_the_target_gets_no_gradient_and_follows() -> None:
    objective = Byol(8, 16, 4, device=HOST)
    teacher = random(12, 8, 1).requires_grad_()
    loss = objective(random(12, 8, 0).requires_grad_(), teacher, torch.eye(6, dtype=torch.bool))
    loss.backward()
    assert teacher.grad is None
    assert all(p.grad is None for p in objective.target.parameters())
    assert all(p.grad is not None for p in objective.predictor.parameters())

    before = [p.detach().clone() for p in objective.target.parameters()]
    with torch.no_grad():
        for p in objective.projector.parameters():
            p.add_(1.0)
    objective.follow(0.9)
    for old, new, projector in zip(
        before, objective.target.parameters(), objective.projector.parameters(), strict=True
    ):
        assert torch.allclose(new, 0.9 * old + 0.1 * projector)


def test_shares_of_single_pictures_add_up_to_the_loss() -> None:
    objective = Byol(8, 16, 4, device=HOST)
    student, teacher, mask = random(12, 8, 0), random(12, 8, 1), torch.eye(6, dtype=torch.bool)
    targets = objective.targets(teacher)
    views = student.view(2, 6, 8)
    shares = [
        objective.of_each(views[:, rows].flatten(0, 1), targets, rows, mask) for rows in (slice(0, 4), slice(4, 6))
    ]
    loss = float(objective(student, teacher, mask).detach())
    assert float(torch.cat(shares).mean().detach()) == pytest.approx(loss, rel=1e-5)


def embeddings(learner: Learner) -> Tensor:
    pictures = torch.stack([o.pixels_CHW for o in observations(1000, 1040)]).float() / 255
    with torch.no_grad():
        vectors: Tensor = learner.teacher(learner._trunk(pictures))
    return vectors


def test_it_learns_without_negatives_and_does_not_collapse() -> None:
    learner = new_learner(BYOL)
    born = effective_rank(embeddings(learner).numpy())
    losses = [step.loss for start in range(0, 240, 8) for step in learner.observe(observations(start, start + 8), 3)]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    assert effective_rank(embeddings(learner).numpy()) > 0.5 * born


def test_another_objective_goes_on_with_the_encoder_and_new_heads() -> None:
    simclr, byol = new_learner(), new_learner(BYOL)
    simclr.observe(observations(0, 8), 2)
    tensors, meta = simclr.state_dict()
    recall = {o.sha256: o for o in observations(0, 8)}
    byol.load_state_dict(tensors, meta, lambda shas: [recall[sha] for sha in shas])
    assert meta["objective"] == "simclr"
    for name, tensor in simclr.teacher.state_dict().items():
        assert torch.equal(tensor, byol.teacher.state_dict()[name])
    assert len(byol.observe(observations(8, 16), 2)) == 2
