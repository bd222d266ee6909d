"""Pictures to vectors: the innate one, and the learned one of each living encoder version.

Used by one thread, beside training: it owns copies of everything that training changes. It knows nothing of storage
or learning. Shapes: N pictures, D dimensions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agent.device import autocast, upload
from agent.encoder import Encoder, square

Vectors = NDArray[np.float16]


class Embedder:
    """The trunk once a picture, and each tail on top of it.

    Args:
        tails: encoder version -> its trained part. Version 1 is the innate network and never among them.
    """

    def __init__(self, encoder: Encoder, tails: Mapping[int, nn.Module], device: torch.device) -> None:
        self._encoder = copy.deepcopy(encoder).to(device).eval()
        self._device = device
        self._tails: dict[int, nn.Module] = {}
        for version, tail in tails.items():
            self.add_tail(version, tail)

    @property
    def image_px(self) -> int:
        """Side of the squares that the network sees; pictures need not be larger."""
        return self._encoder.image_px

    def add_tail(self, version: int, tail: nn.Module) -> None:
        """From now on pictures are embedded under `version`, too, by a copy of `tail` as it is now."""
        self._tails[version] = copy.deepcopy(tail).to(self._device).eval().requires_grad_(False)

    def keep_only(self, version: int) -> None:
        """Pictures are no longer embedded under other versions."""
        self._tails = {v: tail for v, tail in self._tails.items() if v == version}

    @torch.inference_mode()
    def embed(self, pixels: Sequence[NDArray[np.uint8]]) -> tuple[Vectors, dict[int, Vectors]]:
        """Vectors of pictures.

        Args:
            pixels: N arrays HWC, uint8 RGB, of any sizes.

        Returns:
            innate_ND: float16, by the network as it was born.
            learned: version -> learned_ND, float16.
        """
        if not pixels:
            empty = np.zeros((0, self._encoder.dim), dtype=np.float16)
            return empty, dict.fromkeys(self._tails, empty)
        x_NCHW = torch.stack([square(p, self._encoder.image_px) for p in pixels])
        with autocast(self._device):
            x = upload(x_NCHW, self._device).float().div_(255).contiguous(memory_format=torch.channels_last)
            features = self._encoder.trunk(x)
            innate = self._encoder.tail(features)
            learned = {version: tail(features) for version, tail in self._tails.items()}
        return _half(innate), {version: _half(vectors) for version, vectors in learned.items()}


def _half(x_ND: Tensor) -> Vectors:
    half: Vectors = x_ND.float().cpu().numpy().astype(np.float16)
    return half
