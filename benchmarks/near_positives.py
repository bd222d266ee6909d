"""NT-Xent in which near copies are not merely left alone but attract each other, as views of one picture do.

One of the arms of `benchmarks.stream`; the agent does not do this.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agent.objective import Objective
from agent.simclr import SimCLR


class NearPositives(SimCLR):
    """SimCLR whose near copies are positives: the supervised contrast of Khosla et al. 2020, eq. 2, without labels.

    Args:
        plain: its projection head is used, and trained on.
    """

    def __init__(self, plain: SimCLR) -> None:
        Objective.__init__(self)
        self._temperature = plain._temperature
        self.projector = plain.projector

    def forward(self, student_2ND: Tensor, teacher_2ND: Tensor | None, never_negative_NN: Tensor) -> Tensor:
        return attracted(self.projector(student_2ND), self._temperature, never_negative_NN)


def attracted(projected_2NP: Tensor, temperature: float, positive_NN: Tensor) -> Tensor:
    """Mean over the 2N views of the mean over each view's positives.

    Args:
        positive_NN: bool, symmetric, true on the diagonal; pairs of pictures whose views all attract each other.
    """
    z_MP = F.normalize(projected_2NP.float(), dim=1)
    itself_MM = torch.eye(len(z_MP), dtype=torch.bool, device=z_MP.device)
    log_share_MM = (z_MP @ z_MP.T / temperature).masked_fill(itself_MM, float("-inf")).log_softmax(dim=1)
    positive_MM = positive_NN.repeat(2, 2) & ~itself_MM
    of_each_M = log_share_MM.masked_fill(~positive_MM, 0).sum(dim=1) / positive_MM.sum(dim=1)
    return -of_each_M.mean()
