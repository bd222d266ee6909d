"""Noticing that the stream has changed (Page-Hinkley), and how far the encoder has moved (probes).

Neither knows where its numbers come from. Source of the test: Page 1954; Hinkley 1971.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

COUNTED = ("skipped", "seen", "mean", "squares", "excess")


@dataclass(slots=True)
class PageHinkley:
    """Raises an alarm when the mean of what it is told has risen.

    Values are standardised by their own history and cut off at 3, so that one odd value is no shift and the
    threshold means the same on every stream.

    Attributes:
        tolerance: rise of the mean, in standard deviations, that is no shift.
        threshold: sum of excesses at which the alarm goes off, in standard deviations.
        patience: values to be seen first.
        skipped: values left out at the very beginning: against an empty memory everything is new.
    """

    tolerance: float = 0.5
    threshold: float = 12.0
    patience: int = 100
    skipped: int = 64
    seen: int = 0
    mean: float = 0.0
    squares: float = 0.0
    excess: float = 0.0

    def tell(self, value: float) -> bool:
        """True when this value sets the alarm off; the test then starts anew."""
        if self.skipped > 0:
            self.skipped -= 1
            return False
        deviation = math.sqrt(self.squares / self.seen) if self.seen > 1 else 0.0
        if self.seen >= self.patience and deviation > 0:
            standard = min(3.0, (value - self.mean) / deviation)
            self.excess = max(0.0, self.excess + standard - self.tolerance)
        self.seen += 1
        step = value - self.mean
        self.mean += step / self.seen
        self.squares += step * (value - self.mean)
        if self.excess <= self.threshold:
            return False
        self.seen, self.mean, self.squares, self.excess = 0, 0.0, 0.0, 0.0
        return True

    def state_dict(self) -> dict[str, float]:
        """What has been counted; the thresholds are not part of it."""
        return {name: getattr(self, name) for name in COUNTED}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        for name in COUNTED:
            if name in state:
                setattr(self, name, type(getattr(self, name))(state[name]))


def drift_between(before_ND: Tensor, after_ND: Tensor) -> Tensor:
    """1 - mean cosine of the same pictures before and after, each set centred: a shift of all alike is no drift."""
    before = before_ND.float() - before_ND.float().mean(dim=0)
    after = after_ND.float() - after_ND.float().mean(dim=0)
    return 1 - F.cosine_similarity(before, after, dim=1).mean()
