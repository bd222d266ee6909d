"""What a learner minimises: the protocol of objectives, alignment to the teacher, and who is nobody's negative.

Pure functions of embeddings; they know nothing of networks, replay or steps. Shapes: N pictures, each with two views
(2N: the first views of all, then the second views of all); D features; B pictures of a group.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """A self-supervised loss with the heads that it needs; embeddings are taken before the heads.

    Attributes:
        sees_teacher: it compares with the teacher's embeddings, which cost a pass forward of every view.
    """

    sees_teacher = False

    @abstractmethod
    def forward(self, student_2ND: Tensor, teacher_2ND: Tensor | None, never_negative_NN: Tensor) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            teacher_2ND: None unless `sees_teacher`.
            never_negative_NN: bool, symmetric; pairs of pictures (near copies of each other) that do not repel.
        """

    @abstractmethod
    def targets(self, embedded_2ND: Tensor) -> Tensor:
        """What `of_each` compares with, made of a network's own embeddings; it gets no gradient."""

    @abstractmethod
    def of_each(self, student_2BD: Tensor, targets_2NP: Tensor, rows: slice, never_negative_NN: Tensor) -> Tensor:
        """`(B,)`: each picture's share in the loss against targets that stay fixed: the log-likelihood of EWC.

        Args:
            rows: which of the N pictures the B are.
        """

    def follow(self, decay: float) -> None:
        """Heads that follow others, as the teacher follows the student, take a step."""
        return


class ProjectionHead(nn.Sequential):
    """The MLP between an embedding and a loss (SimCLR, section 4.2).

    Layer normalisation in place of the batch's: look-alikes in a row must not decide each other's scale. BYOL, too,
    works without batch statistics (Richemond et al. 2020).
    """

    def __init__(self, dim: int, hidden: int, outputs: int, device: torch.device) -> None:
        super().__init__(
            nn.Linear(dim, hidden, device=device),
            nn.LayerNorm(hidden, device=device),
            nn.ReLU(),
            nn.Linear(hidden, outputs, device=device),
        )


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


def one_burst(taken_N: Tensor, source_N: Tensor, within_s: float, at_most: float = 0.25) -> Tensor:
    """`(N, N)` bool: pairs of pictures of one source that were taken within so long of each other; symmetric.

    Args:
        taken_N: float64 seconds; NaN where nobody knows, which is nobody's burst.
        source_N: whole numbers.
        within_s: 0 for no pair at all.
        at_most: share of the pairs, the closest in time. Where all were taken at once there would be nothing left to
            tell apart.
    """
    gap_NN = (taken_N.view(-1, 1) - taken_N).abs()
    alone_NN = (source_N.view(-1, 1) != source_N) | gap_NN.isnan()
    alone_NN.fill_diagonal_(True)
    gap_NN = gap_NN.masked_fill(alone_NN, math.inf)
    most = gap_NN.flatten().kthvalue(1 + math.floor(at_most * (gap_NN.numel() - 1))).values
    return (gap_NN <= within_s) & (gap_NN < most) & (within_s > 0)
