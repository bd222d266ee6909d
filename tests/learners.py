"""A small network, toy pictures of four kinds, and learners that are fast enough for tests."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.config import Config, EncoderConfig
from agent.device import HOST
from agent.encoder import Encoder, build_encoder, square, training_px
from agent.learner import Learner
from agent.replay import Observation

IMAGE_PX = 16
KINDS = 4


@cache
def bundled_encoder() -> Encoder:
    """The default network with its bundled weights; read only."""
    return build_encoder(EncoderConfig(), seed=0)


def small_config(**sections: dict[str, Any]) -> Config:
    """A configuration for 16 px pictures and batches of a few."""
    settings: dict[str, dict[str, Any]] = {
        "encoder": {"backbone": "small", "weights": "none", "image_px": IMAGE_PX},
        "learner": {"stream_batch": 8, "replay_batch": 8, "head_dims": (32, 16), "warmup_steps": 0},
        "replay": {"capacity": 32, "near_duplicate": 1.0},
        "ewc": {"fisher_samples": 8},
        "publish": {"probes": 8},
    }
    for name, values in sections.items():
        settings[name] = settings.get(name, {}) | values
    return Config.model_validate(settings)


def new_learner(config: Config | None = None) -> Learner:
    config = config or small_config()
    return Learner(config, build_encoder(config.encoder, config.seed), HOST)


def picture(number: int, side_px: int = 24) -> NDArray[np.uint8]:
    """HWC: stripes whose colour and direction are its kind, `number % KINDS`, under noise of its own."""
    chance = np.random.default_rng(number)
    kind = number % KINDS
    rows, columns = np.mgrid[:side_px, :side_px]
    along = rows if kind % 2 else columns
    stripes = 0.5 + 0.5 * np.sin(along * (0.6 + 0.2 * kind) + chance.uniform(0, 6))
    colour = np.array([[1, 0.2, 0.2], [0.2, 1, 0.2], [0.2, 0.2, 1], [1, 1, 0.2]])[kind]
    noisy = stripes[..., None] * colour + chance.normal(0, 0.1, (side_px, side_px, 3))
    pixels: NDArray[np.uint8] = (255 * noisy.clip(0, 1)).astype(np.uint8)
    return pixels


def observation(number: int) -> Observation:
    """Picture `number` with an innate vector that leans towards its kind."""
    innate_D = np.random.default_rng(number).normal(0, 0.3, 256).astype(np.float32)
    innate_D[number % KINDS] += 5
    sha256 = hashlib.sha256(str(number).encode()).hexdigest()
    return Observation(number, sha256, square(picture(number), training_px(IMAGE_PX)), innate_D)


def observations(start: int, stop: int) -> list[Observation]:
    return [observation(number) for number in range(start, stop)]


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
