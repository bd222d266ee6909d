"""How far the teacher has moved since it was last published, on a fixed set of pictures.

It knows nothing of when a version is worth publishing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from agent.device import autocast
from agent.drift import drift_between
from agent.encoder import in_parts

AT_ONCE = 64


class Probes:
    """Vectors of the probe pictures as published, and what the frozen trunk makes of them.

    Args:
        published: the tail as it was last published; this object owns it.
    """

    def __init__(self, published: nn.Module) -> None:
        self.published = published
        self.shas: list[str] = []
        self._features: Tensor | None = None
        self._reference_ND: Tensor | None = None

    def __len__(self) -> int:
        return len(self.shas)

    def set_pictures(self, shas: list[str], features: Tensor) -> None:
        """The probe pictures, as the trunk sees them."""
        self.shas = shas
        self._features = features
        self._reference_ND = _vectors(self.published, features)

    def publish(self, teacher: nn.Module) -> None:
        """From now on `teacher`, as it is now, is what drift is measured from."""
        self.published.load_state_dict(teacher.state_dict())
        if self._features is not None:
            self._reference_ND = _vectors(self.published, self._features)

    def drift_of(self, teacher: nn.Module) -> Tensor | None:
        """1 - mean cosine; None while there are fewer than two pictures to tell it by."""
        if self._features is None or self._reference_ND is None or len(self._features) < 2:
            return None
        return drift_between(self._reference_ND, _vectors(teacher, self._features))


@torch.no_grad()
def _vectors(tail: nn.Module, features: Tensor) -> Tensor:
    with autocast(features.device):
        vectors_ND = in_parts(tail, features, AT_ONCE)
    return vectors_ND
