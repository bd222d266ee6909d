"""Elastic weight consolidation for a stream without tasks (Kirkpatrick et al. 2017; online form: Schwarz et al. 2018).

It says how dearly the encoder's weights hold to where they were, and pulls them back. When to consolidate is for
`agent.learner` to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Generator, Tensor, nn

from agent.avalanche_parts import EWCPlugin, ParamData
from agent.config import EwcConfig
from agent.device import HOST, upload

SampleLosses = Callable[[nn.Module], Iterable[Tensor]]
"""A network to the losses of single pictures, `(B,)` at a time, so that only one graph is alive."""


class StreamEWC(EWCPlugin):  # type: ignore[misc]  # Avalanche is untyped
    """Avalanche's online EWC, with what an endless self-supervised stream needs.

    * The Fisher information is the mean of squared gradients of single pictures. Avalanche squares the gradient of a
      batch's mean, which falls with the batch: 17 times from 8 to 128 pictures, for the same ones. Here one pass
      backward serves several pictures: their losses are summed with random signs, so that in the square of the
      gradient the cross terms cancel on average, and what is left are the squares of each (Hutchinson 1990).
    * It is divided by its mean over the encoder and clipped, so that `strength` means the same for every loss.
    * Estimates are averaged over time; Avalanche's running sum grows without end.
    * The pull is a proximal step after the optimizer's, which no strength can make unstable.

    Only parameters that are trained take part; the model is the encoder's tail alone.
    """

    def __init__(self, config: EwcConfig) -> None:
        super().__init__(ewc_lambda=config.strength, mode="online", decay_factor=config.decay)
        self._clip = config.clip
        self.consolidations = 0

    @property
    def anchored(self) -> bool:
        return self.consolidations > 0

    def consolidate(self, model: nn.Module, losses_of: SampleLosses) -> None:
        """Anchors at `model`'s weights, with the Fisher information of the losses there."""
        strategy = SimpleNamespace(
            model=model,
            _criterion=losses_of,
            optimizer=None,
            experience=SimpleNamespace(dataset=None),
            device=next(model.parameters()).device,
            train_mb_size=1,
            clock=SimpleNamespace(train_exp_counter=self.consolidations),
        )
        self.after_training_exp(strategy)
        self.consolidations += 1

    def compute_importances(
        self,
        model: nn.Module,
        criterion: SampleLosses,
        optimizer: object,
        dataset: object,
        device: torch.device,
        batch_size: int,
        num_workers: int = 0,
    ) -> dict[str, Any]:
        """Mean squared gradient of each parameter over `criterion`'s losses, as a multiple of the encoder's mean."""
        names, parameters = _trained(model)
        fisher = [torch.zeros_like(p) for p in parameters]
        chance = Generator(HOST).manual_seed(self.consolidations)
        for losses_B in criterion(model):
            heads_B = torch.randint(2, losses_B.shape, generator=chance, device=chance.device)
            signed = (upload(2 * heads_B - 1, losses_B.device) * losses_B).sum()
            gradients = torch.autograd.grad(signed, parameters, allow_unused=True, materialize_grads=True)
            torch._foreach_addcmul_(fisher, gradients, gradients)
        scale = sum(f.sum() for f in fisher) / sum(f.numel() for f in fisher)
        # A network that no loss depends on has nothing to protect: the floor keeps 0 / 0 out.
        floor = torch.finfo(fisher[0].dtype).tiny
        normalised = [(f / (scale + floor)).clamp(max=self._clip) for f in fisher]
        return {n: ParamData(n, init_tensor=f, device=f.device) for n, f in zip(names, normalised, strict=True)}

    @torch.no_grad()
    def update_importances(self, importances: dict[str, Any], t: int) -> None:
        """An average over consolidations in place of Avalanche's sum."""
        before = self.importances.pop(t - 1, None)
        if before is not None:
            for name, importance in importances.items():
                importance.data = torch.lerp(importance.data, before[name].data, self.decay_factor)
        self.importances[t] = importances

    @torch.no_grad()
    def pull(self, model: nn.Module, lr: float) -> Tensor:
        """p <- (p + a F p0) / (1 + a F) with a = lr * strength, in place; returns how far it moved, as a norm."""
        names, parameters = _trained(model)
        fisher, anchor = self._state(names)
        scaled = torch._foreach_mul(fisher, lr * self.ewc_lambda)
        share = torch._foreach_div(scaled, torch._foreach_add(scaled, 1.0))
        moves = torch._foreach_mul(torch._foreach_sub(anchor, [p.detach() for p in parameters]), share)
        torch._foreach_add_([p.detach() for p in parameters], moves)
        distance: Tensor = torch.stack(torch._foreach_norm(moves)).norm()
        return distance

    def _state(self, names: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
        last = self.consolidations - 1
        fisher, anchor = self.importances[last], self.saved_params[last]
        return [fisher[n].data for n in names], [anchor[n].data for n in names]

    def state_dict(self) -> dict[str, Tensor]:
        """Anchor and Fisher information; empty before the first consolidation."""
        if not self.anchored:
            return {}
        last = self.consolidations - 1
        fisher = {f"fisher.{n}": f.data for n, f in self.importances[last].items()}
        return fisher | {f"anchor.{n}": a.data for n, a in self.saved_params[last].items()}

    def load_state_dict(self, tensors: dict[str, Tensor], consolidations: int) -> None:
        self.importances.clear()
        self.saved_params.clear()
        self.consolidations = consolidations
        for key, tensor in tensors.items():
            part, name = key.split(".", 1)
            held = self.importances if part == "fisher" else self.saved_params
            held[consolidations - 1][name] = ParamData(name, init_tensor=tensor, device=tensor.device)


def _trained(model: nn.Module) -> tuple[list[str], list[nn.Parameter]]:
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    return [n for n, _ in named], [p for _, p in named]
