"""What the learner minimises: NT-Xent between views, and alignment to the teacher.

Pure functions of embeddings; they know nothing of networks, replay or steps. Shapes: N pictures, each with two
views; D features; M vectors of other pictures.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ProjectionHead(nn.Sequential):
    """The MLP between the embedding and NT-Xent; embeddings are taken before it (SimCLR, section 4.2)."""

    def __init__(self, dim: int, hidden: int, outputs: int, device: torch.device) -> None:
        super().__init__(
            nn.Linear(dim, hidden, device=device),
            nn.LayerNorm(hidden, device=device),
            nn.ReLU(),
            nn.Linear(hidden, outputs, device=device),
        )


def nt_xent(first_ND: Tensor, second_ND: Tensor, temperature: float, never_negative_NN: Tensor | None = None) -> Tensor:
    """NT-Xent of Chen et al. 2020, algorithm 1: mean over the 2N views.

    Args:
        first_ND, second_ND: the two views of each picture; of any length, they are normalised here.
        never_negative_NN: bool, symmetric; pairs of pictures (near copies of each other) that do not repel.
    """
    pictures = len(first_ND)
    z_MD = F.normalize(torch.cat([first_ND, second_ND]).float(), dim=1)
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
    of_both = [
        F.cross_entropy(
            torch.cat([positive_B1, (z_BD @ others_MD.T).masked_fill(~negative_BM, float("-inf"))], dim=1)
            / temperature,
            none,
            reduction="none",
        )
        for z_BD in (first_BD, second_BD)
    ]
    return (of_both[0] + of_both[1]) / 2


def alignment(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Negative cosine of the student's embeddings to the teacher's, which get no gradient (CLA, CoLLAs 2025)."""
    return -F.cosine_similarity(student_BD.float(), teacher_BD.detach().float(), dim=1).mean()


def near_copies(innate_ND: Tensor, cosine: float, at_most: float = 0.25) -> Tensor:
    """`(N, N)` bool: pairs whose unit innate vectors are more alike than `cosine`; the diagonal is true.

    Args:
        at_most: share of the pairs, the most alike. Where the innate network finds a whole domain alike, a fixed
            cosine would leave nothing to tell apart.
    """
    itself = torch.eye(len(innate_ND), dtype=torch.bool, device=innate_ND.device)
    cosine_NN = (innate_ND @ innate_ND.T).masked_fill(itself, -1)
    least = cosine_NN.flatten().kthvalue(max(1, math.ceil((1 - at_most) * cosine_NN.numel()))).values
    return itself | ((cosine_NN > cosine) & (cosine_NN > least))
