"""The trained part of the network that is published, from the checkpoint under its number."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from agent import checkpoint
from agent.encoder import Encoder
from storage.queries import BORN, Queries


def published_tails(encoder: Encoder, queries: Queries, checkpoints: Path) -> dict[int, nn.Module]:
    """Ready version -> its tail; nothing while that is version 1, the network as it was born.

    Raises:
        CheckpointError: the checkpoint is missing or torn.
        EncoderError: it is of another network.
    """
    version = queries.ready_version()
    return {} if version == BORN else {version: tail_of(version, encoder, checkpoints)}


def tail_of(version: int, encoder: Encoder, checkpoints: Path) -> nn.Module:
    """The tail of one version.

    Raises:
        CheckpointError: its checkpoint is missing or torn.
        EncoderError: it is of another network.
    """
    return encoder.new_tail(checkpoint.load(checkpoints / checkpoint.version_name(version)).tensors)
