"""When the encoder's weights are protected, and which: at birth, when the stream has shifted, and on a timer.

There are no task boundaries to go by. It knows nothing of the optimizer. Source of the choices: van de Ven et al.
2025 (a Fisher of single samples), Aljundi et al. 2019 (task-free consolidation), Page 1954 (the alarm).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from agent.config import EwcConfig
from agent.drift import PageHinkley
from agent.ewc import SampleLosses, StreamEWC
from agent.parts import join, part

Happening = tuple[str, dict[str, Any]]
"""An event's type and its detail."""

SNAPSHOT_PICTURES = 1_000


class Consolidation:
    """Owns the EWC anchor, the shift alarm, and snapshots of the teacher from before any shift.

    Of the two snapshots the older one is what is protected at a shift: the alarm takes its time, and the newer one may
    have been taken meanwhile.

    Args:
        born: the tail as the agent was born with; read only.

    Attributes:
        snapshot: the older one.
        shift_waits: a shift was noticed, and too little was remembered to say which weights matter.
    """

    def __init__(self, config: EwcConfig, born: nn.Module) -> None:
        self.ewc = StreamEWC(config)
        self.alarm = PageHinkley()
        self._config = config
        self._born = born
        self.snapshot = _trainable(born)
        self._newer = _trainable(born)
        self.shift_waits = False
        self.since_snapshot = 0
        self.since_consolidation = 0

    def notice(self, novelty_N: Tensor, teacher: nn.Module, losses_of: SampleLosses | None) -> list[Happening]:
        """Takes in how new the pictures of a batch were, and consolidates where that is due.

        Args:
            losses_of: losses of replayed pictures; None while there are too few of them.
        """
        happenings = self._shift(novelty_N)
        protects = self._config.strength > 0
        self.shift_waits = protects and (self.shift_waits or bool(happenings))
        self.since_consolidation += len(novelty_N)
        if protects and losses_of is not None:
            happenings += self._consolidate(teacher, losses_of)
        self._keep_snapshots(len(novelty_N), teacher)
        return happenings

    def _keep_snapshots(self, arrived: int, teacher: nn.Module) -> None:
        self.since_snapshot += arrived
        if self.since_snapshot >= SNAPSHOT_PICTURES and not self.shift_waits:
            self.snapshot.load_state_dict(self._newer.state_dict())
            self._newer.load_state_dict(teacher.state_dict())
            self.since_snapshot = 0

    def _shift(self, novelty_N: Tensor) -> list[Happening]:
        usual = self.alarm.mean
        alarmed = [value for value in novelty_N.tolist() if self.alarm.tell(value)]
        return [("shift_detected", {"novelty": round(alarmed[0], 4), "usual": round(usual, 4)})] if alarmed else []

    def _consolidate(self, teacher: nn.Module, losses_of: SampleLosses) -> list[Happening]:
        if self._config.from_birth and not self.ewc.anchored:
            reason, network = "birth", _trainable(self._born)
        elif self.shift_waits:
            reason, network = "shift", self.snapshot
        elif self.since_consolidation >= self._config.every_pictures:
            reason, network = "timer", _trainable(teacher)
        else:
            return []
        self.ewc.consolidate(network, losses_of)
        self.since_consolidation = 0
        if reason == "shift":
            self._begin_anew(teacher)
        return [("consolidated", {"reason": reason, "consolidations": self.ewc.consolidations})]

    def _begin_anew(self, teacher: nn.Module) -> None:
        """What is before the next shift is what comes from now on."""
        for snapshot in (self.snapshot, self._newer):
            snapshot.load_state_dict(teacher.state_dict())
        self.since_snapshot, self.shift_waits = 0, False

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        meta = {
            "alarm": self.alarm.state_dict(),
            "consolidations": self.ewc.consolidations,
            "since_snapshot": self.since_snapshot,
            "since_consolidation": self.since_consolidation,
            "shift_waits": self.shift_waits,
        }
        snapshots = {"snapshot": self.snapshot.state_dict(), "newer": self._newer.state_dict()}
        return join({"ewc": self.ewc.state_dict()} | snapshots), meta

    def load_state_dict(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        self.alarm.load_state_dict(meta["alarm"])
        self.since_snapshot, self.since_consolidation = meta["since_snapshot"], meta["since_consolidation"]
        self.shift_waits = meta.get("shift_waits", False)
        snapshot = part(tensors, "snapshot")
        self.snapshot.load_state_dict(snapshot)
        self._newer.load_state_dict(part(tensors, "newer") or snapshot)
        device = next(self.snapshot.parameters()).device
        fisher = {key: tensor.to(device) for key, tensor in part(tensors, "ewc").items()}
        self.ewc.load_state_dict(fisher, meta["consolidations"])


def _trainable(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).requires_grad_(True)
