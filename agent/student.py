"""Student and teacher: two copies of the encoder's tail, and how they move.

They know nothing of pictures, and of the objective only that it has heads, which are trained and follow along.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from agent.byol import Byol
from agent.compiled import compile_in_place
from agent.config import LearnerConfig
from agent.device import HOST, has_fused_adamw, host_values
from agent.encoder import Encoder, load_tail, same_shapes
from agent.ewc import StreamEWC
from agent.objective import Objective
from agent.parts import join, load_optimizer_state, optimizer_state, part
from agent.simclr import SimCLR


class Student:
    """The trained network with its objective and optimizer, and the teacher that follows it.

    Attributes:
        tail: what is trained.
        objective: owns the heads, which are trained too.
        teacher: exponential moving average of `tail`, per step.

    Raises:
        CompilerError: `config.compile` is asked for, and there is no compiler.
    """

    def __init__(self, config: LearnerConfig, encoder: Encoder, seed: int, device: torch.device) -> None:
        self._config = config
        self.tail = encoder.new_tail().to(device)
        self.teacher = encoder.new_tail().to(device).requires_grad_(False)
        if config.compile:
            compile_in_place([self.tail, self.teacher], device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.objective = build_objective(config, encoder.dim).to(device)
        self._trained = [p for p in self.tail.parameters() if p.requires_grad]
        self._heads = [p for p in self.objective.parameters() if p.requires_grad]
        groups = [{"params": self._trained, "lr": config.lr}, {"params": self._heads, "lr": config.head_lr}]
        self._optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=has_fused_adamw(device))

    def descend(self, loss: Tensor) -> Tensor:
        """Gradients of the loss, clipped; returns their norm before clipping."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        return nn.utils.clip_grad_norm_([*self._trained, *self._heads], self._config.grad_clip)

    def advance(self, step: int, ewc: StreamEWC | None) -> Tensor | None:
        """Optimizer's step, EWC's pull, and the teacher follows.

        Args:
            step: steps made before this one.

        Returns:
            How far EWC pulled, as a norm; None without EWC.
        """
        warmth = min(1.0, (step + 1) / max(1, self._config.warmup_steps))
        for group, lr in zip(self._optimizer.param_groups, (self._config.lr, self._config.head_lr), strict=True):
            group["lr"] = lr * warmth
        self._optimizer.step()
        pulled = None if ewc is None else ewc.pull(self.tail, self._config.lr * warmth)
        with torch.no_grad():
            torch._foreach_lerp_(
                [*self.teacher.parameters()], [*self.tail.parameters()], 1 - self._config.teacher_decay
            )
        self.objective.follow(self._config.teacher_decay)
        return pulled

    def advance_measured(self, step: int, ewc: StreamEWC | None) -> float:
        """As `advance`; returns EWC's pull as a share of how far the student moved in all."""
        before = [p.detach().clone() for p in self._trained]
        pulled = self.advance(step, ewc)
        if pulled is None:
            return 0.0
        moved = torch._foreach_norm(torch._foreach_sub([p.detach() for p in self._trained], before))
        pull, movement = host_values([pulled, torch.stack(moved).norm()])
        return pull / movement if movement > 0 else 0.0

    def state_dict(self) -> dict[str, Tensor]:
        return join(
            {
                "student": self.tail.state_dict(),
                "teacher": self.teacher.state_dict(),
                self._config.objective: self.objective.state_dict(),
                "optimizer": optimizer_state(self._optimizer),
            }
        )

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> bool:
        """Goes on from `state_dict`; False where that has another objective, or heads of another size, so that the
        heads and the optimizer are new.

        Raises:
            EncoderError: it is of another network.
        """
        load_tail(self.tail, part(tensors, "student"))
        load_tail(self.teacher, part(tensors, "teacher"))
        heads = part(tensors, self._config.objective)
        if not same_shapes(self.objective.state_dict(), heads):
            return False
        self.objective.load_state_dict(heads)
        load_optimizer_state(self._optimizer, part(tensors, "optimizer"))
        return True


def build_objective(config: LearnerConfig, dim: int) -> Objective:
    """The objective that the configuration names, on the host, for embeddings of `dim` features."""
    if config.objective == "byol":
        return Byol(dim, *config.head_dims, device=HOST)
    return SimCLR(dim, *config.head_dims, temperature=config.temperature, device=HOST)
