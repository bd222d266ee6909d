"""What is compared: the default learner, and the same with one thing changed.

All pay the same number of views for what arrives; only `idle-*` pay for more, when nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from agent.config import PRESETS, Config
from agent.drift import PageHinkley
from agent.encoder import Encoder
from agent.ewc import SampleLosses, StreamEWC
from agent.learner import Learner
from agent.simclr import SimCLR
from benchmarks.near_positives import NearPositives

NO_REPLAY = ("learner.replay_batch=0",)
NO_ALIGNMENT = ("learner.align=0",)
NO_EWC = ("ewc.strength=0",)
BORN_ONLY = ("ewc.from_birth=true", "ewc.every_pictures=1000000000")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to learn.

    Attributes:
        changes: what it sets otherwise than the configuration does, `KEY=VALUE`.
        iid: the stream comes mixed, whatever the order asked for.
        born_only: EWC is anchored at birth and never again, whatever the stream does.
        uniform: EWC's pull is the same for all weights: L2-SP (Li et al. 2018).
        unbalanced: the memory is not told which kinds there are, so its reservoir keeps no balance between them.
        near_positives: near copies attract each other, where they are otherwise only not told apart.
        to_birth: the alignment is to the born network in place of the teacher.
    """

    name: str
    says: str
    changes: tuple[str, ...] = ()
    iid: bool = False
    born_only: bool = False
    uniform: bool = False
    unbalanced: bool = False
    near_positives: bool = False
    to_birth: bool = False


ARMS = {
    arm.name: arm
    for arm in (
        Arm("frozen", "the network as it was born", ("learner.views_per_picture=0",)),
        Arm("random", "random weights, frozen", ("encoder.weights=none", "learner.views_per_picture=0")),
        Arm("finetune", "no replay, no alignment, no EWC", (*NO_REPLAY, *NO_ALIGNMENT, *NO_EWC)),
        Arm("ewc", "EWC alone", (*NO_REPLAY, *NO_ALIGNMENT)),
        Arm("replay", "replay alone", (*NO_ALIGNMENT, *NO_EWC)),
        Arm("replay+align", "replay and alignment", NO_EWC),
        Arm("default", "replay, alignment and EWC"),
        Arm("low-lr", "replay and alignment, a third of the learning rate", ("learner.lr=1e-4", *NO_EWC)),
        Arm("iid", "the default on the same pictures, mixed", iid=True),
        Arm("byol", "BYOL in place of SimCLR", ("learner.objective=byol",)),
        # What the memory keeps; it matters where the stream is much longer (`--override replay.capacity=200`).
        Arm("recent", "remembers the newest alone", ("replay.recent_share=1",)),
        Arm("reservoir", "remembers a sample of all alone", ("replay.recent_share=0",)),
        Arm("unbalanced", "half of each, the sample not balanced over the kinds", unbalanced=True),
        Arm("near-positives", "near copies attract each other", near_positives=True),
        # What may change between views of a picture.
        *(
            Arm(f"preset-{name}", f"augmented as {name}", (f"augment.preset={name}",))
            for name in PRESETS
            if name != "any"
        ),
        # Training from memory between stages, which costs views of its own.
        Arm("idle-6", "6 views a picture more, from memory", ("learner.idle_views_per_picture=6",)),
        Arm("idle-18", "18 views a picture more, from memory", ("learner.idle_views_per_picture=18",)),
        # The plasticity question: what is trained, and what holds it.
        Arm("whole", "all blocks trained", ("encoder.trained_blocks=0",)),
        Arm("last-3", "the last 3 blocks trained", ("encoder.trained_blocks=3",)),
        Arm("ewc-born", "EWC anchored at birth for ever", BORN_ONLY, born_only=True),
        Arm("l2-sp", "all weights held alike to those at birth", BORN_ONLY, born_only=True, uniform=True),
        Arm("align-born", "aligned to the network as it was born", ("learner.align=2", *NO_EWC), to_birth=True),
    )
}


def learner_of(arm: Arm, config: Config, encoder: Encoder, device: torch.device) -> Learner:
    """The learner of an arm, whose changes `config` has."""
    if arm.to_birth:
        return AlignedToBirth(config, encoder, device)
    learner = Learner(config, encoder, device)
    if arm.born_only:
        learner._consolidation.alarm = Deaf()
    if arm.near_positives:
        assert isinstance(learner._student.objective, SimCLR)
        learner._student.objective = NearPositives(learner._student.objective)
    if arm.uniform:
        learner._consolidation.ewc = UniformEWC(config.ewc)
    return learner


class AlignedToBirth(Learner):
    """Replayed pictures are pulled to what the network made of them before it learned anything."""

    def __init__(self, config: Config, encoder: Encoder, device: torch.device) -> None:
        super().__init__(config, encoder, device)
        self._born = encoder.new_tail().requires_grad_(False)

    def _teacher_of(self, features: Tensor, replayed_R: Tensor) -> tuple[Tensor | None, Tensor | None]:
        with torch.no_grad():
            return None, self._born(features[replayed_R]) if len(replayed_R) else None


class Deaf(PageHinkley):
    """An alarm that never goes off, so that no shift moves the anchor."""

    def tell(self, value: float) -> bool:
        """False."""
        return False


class UniformEWC(StreamEWC):
    """L2-SP: every weight is held to the anchor with the same force (Li et al. 2018, eq. 3)."""

    def compute_importances(self, model: nn.Module, criterion: SampleLosses, *rest: Any, **more: Any) -> dict[str, Any]:
        """Ones."""
        importances = super().compute_importances(model, criterion, *rest, **more)
        for importance in importances.values():
            importance.data.fill_(1.0)
        return importances
