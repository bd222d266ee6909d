"""SimCLR (Chen et al. 2020): two views of a picture attract, views of different pictures repel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from agent.device import full_precision
from agent.objective import Objective, ProjectionHead


class SimCLR(Objective):
    """NT-Xent behind a projection head."""

    def __init__(self, dim: int, hidden: int, outputs: int, temperature: float, device: torch.device) -> None:
        super().__init__()
        self._temperature = temperature
        self.projector = ProjectionHead(dim, hidden, outputs, device)

    def forward(self, student_2ND: Tensor, teacher_2ND: Tensor | None, never_negative_NN: Tensor) -> Tensor:
        first_NP, second_NP = self.projector(student_2ND).chunk(2)
        return nt_xent(first_NP, second_NP, self._temperature, never_negative_NN)

    def targets(self, embedded_2ND: Tensor) -> Tensor:
        projected_2NP: Tensor = self.projector(embedded_2ND)
        return projected_2NP.detach()

    def of_each(self, student_2BD: Tensor, targets_2NP: Tensor, rows: slice, never_negative_NN: Tensor) -> Tensor:
        first_BP, second_BP = self.projector(student_2BD).chunk(2)
        negative_B2N = ~never_negative_NN[rows].repeat(1, 2)
        return nt_xent_of_each(first_BP, second_BP, targets_2NP, negative_B2N, self._temperature)


def nt_xent(first_ND: Tensor, second_ND: Tensor, temperature: float, never_negative_NN: Tensor | None = None) -> Tensor:
    """NT-Xent of Chen et al. 2020, algorithm 1: mean over the 2N views.

    Args:
        first_ND, second_ND: the two views of each picture; of any length, they are normalised here.
        never_negative_NN: bool, symmetric; pairs of pictures (near copies of each other) that do not repel.
    """
    pictures = len(first_ND)
    z_MD = F.normalize(torch.cat([first_ND, second_ND]).float(), dim=1)
    with full_precision(z_MD.device):
        logits_MM = z_MD @ z_MD.T / temperature
    index_M = torch.arange(2 * pictures, device=z_MD.device)
    partner_M = index_M.roll(pictures)
    left_out_MM = index_M.view(-1, 1) == index_M
    if never_negative_NN is not None:
        is_partner_MM = index_M.view(-1, 1) == partner_M
        left_out_MM = left_out_MM | (never_negative_NN.repeat(2, 2) & ~is_partner_MM)
    return F.cross_entropy(logits_MM.masked_fill(left_out_MM, float("-inf")), partner_M)


def nt_xent_of_each(
    first_BD: Tensor, second_BD: Tensor, others_MD: Tensor, negative_BM: Tensor, temperature: float
) -> Tensor:
    """`(B,)`: each picture's share in NT-Xent, against vectors that stay fixed: the log-likelihood that EWC needs.

    Args:
        negative_BM: bool; which of the others each picture is told apart from.
    """
    first_BD, second_BD = F.normalize(first_BD.float(), dim=1), F.normalize(second_BD.float(), dim=1)
    others_MD = F.normalize(others_MD.float(), dim=1)
    positive_B1 = (first_BD * second_BD).sum(dim=1, keepdim=True)
    none = torch.zeros(len(first_BD), dtype=torch.long, device=first_BD.device)
    with full_precision(first_BD.device):
        cosines = [(z_BD @ others_MD.T).masked_fill(~negative_BM, float("-inf")) for z_BD in (first_BD, second_BD)]
    of_both = [
        F.cross_entropy(torch.cat([positive_B1, cosine_BM], dim=1) / temperature, none, reduction="none")
        for cosine_BM in cosines
    ]
    return (of_both[0] + of_both[1]) / 2
