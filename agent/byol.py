"""BYOL (Grill et al. 2020): one view predicts what the teacher makes of the other. It has no negatives.

The target network is the teacher with a projector that follows the student's.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from agent.objective import Objective, ProjectionHead


class Byol(Objective):
    """Projector and predictor of the student, projector of the target. Near copies make no difference to it."""

    sees_teacher = True

    def __init__(self, dim: int, hidden: int, outputs: int, device: torch.device) -> None:
        super().__init__()
        self.projector = ProjectionHead(dim, hidden, outputs, device)
        self.predictor = ProjectionHead(outputs, hidden, outputs, device)
        self.target = copy.deepcopy(self.projector).requires_grad_(False)

    def forward(self, student_2ND: Tensor, teacher_2ND: Tensor | None, never_negative_NN: Tensor) -> Tensor:
        if teacher_2ND is None:
            raise ValueError("BYOL compares with the teacher's embeddings; give teacher_2ND")
        return byol_of_each(self._predicted(student_2ND), self.targets(teacher_2ND)).mean()

    def targets(self, embedded_2ND: Tensor) -> Tensor:
        projected_2NP: Tensor = self.target(embedded_2ND)
        return projected_2NP.detach()

    def of_each(self, student_2BD: Tensor, targets_2NP: Tensor, rows: slice, never_negative_NN: Tensor) -> Tensor:
        first_NP, second_NP = targets_2NP.chunk(2)
        return byol_of_each(self._predicted(student_2BD), torch.cat([first_NP[rows], second_NP[rows]]))

    def follow(self, decay: float) -> None:
        with torch.no_grad():
            torch._foreach_lerp_([*self.target.parameters()], [*self.projector.parameters()], 1 - decay)

    def _predicted(self, student_2ND: Tensor) -> Tensor:
        predicted_2NP: Tensor = self.predictor(self.projector(student_2ND))
        return predicted_2NP


def byol_of_each(predicted_2NP: Tensor, target_2NP: Tensor) -> Tensor:
    """`(N,)`: 2 - 2 cos of each prediction and the target of the other view, both ways (Grill et al. 2020, eq. 2)."""
    of_the_other_2NP = target_2NP.roll(len(target_2NP) // 2, dims=0)
    loss_2N = 2 - 2 * F.cosine_similarity(predicted_2NP.float(), of_the_other_2NP.float(), dim=1)
    first_N, second_N = loss_2N.chunk(2)
    return first_N + second_N
