"""What a data directory was begun with: the network whose embeddings it holds, and beside which others mean nothing.

It knows nothing of weights themselves, which are for `agent.encoder` to make.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.config import Config, EncoderConfig
from agent.errors import ConfigError

SEED = "seed"


def birth_of(config: Config) -> dict[str, object]:
    """What decides how the network is born, and which part of it is trained: JSON values by the names of settings."""
    encoder = config.encoder.model_dump(mode="json", include={"backbone", "weights", "image_px"})
    if config.encoder.weights == "none":  # random ones, all of which are trained
        return {**encoder, SEED: config.seed}
    return {**encoder, "trained_blocks": config.encoder.trained_blocks}


def require_same_birth(begun: Mapping[str, object], config: Config) -> None:
    """The settings still mean the network that these data were begun with; what data of old do not say may be anything.

    Raises:
        ConfigError: they do not.
    """
    now = birth_of(config)
    for key in now:
        if key in begun and begun[key] != now[key]:
            setting = key if key == SEED else f"encoder.{key}"
            raise ConfigError(
                f"{setting} is {now[key]}, and these data were begun with {begun[key]}; set it back, or give another"
                " --data"
            )


def as_born(config: Config, begun: Mapping[str, object]) -> tuple[EncoderConfig, int]:
    """The encoder's settings and the seed that these data were begun with, whatever the configuration says by now."""
    settings = {key: value for key, value in begun.items() if key in EncoderConfig.model_fields}
    seed = begun.get(SEED)
    return config.encoder.model_copy(update=settings), seed if isinstance(seed, int) else config.seed
