"""Innate embeddings of a labelled set, made once and kept in a file: for benchmarks of what comes after embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.device import resolve_device
from agent.encoder import build_encoder
from agent.settings import load_config
from benchmarks.datasets import load
from benchmarks.trial import labelled

AT_ONCE = 1_000
"""Pictures decoded and embedded together: bounds the memory."""


def innate_of(
    name: str, classes: int, per_class: int, seed: int, folder: Path
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Embeddings (N, D) by the default network as it is born, and classes (N,), shuffled by `seed`."""
    path = folder / f"{Path(name).name}-{classes}x{per_class}-{seed}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        vectors_ND, label_N = _embedded(name, classes, per_class, seed)
        np.savez(path, vectors_ND=vectors_ND, label_N=label_N)
    with np.load(path) as kept:
        return kept["vectors_ND"], kept["label_N"]


def _embedded(name: str, classes: int, per_class: int, seed: int) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    config = load_config(None, [])
    device = resolve_device(config.device)
    encoder = build_encoder(config.encoder, config.seed).to(device)
    pictures = load(name, classes, per_class, seed)
    names = sorted({picture.label for picture in pictures})
    parts = [
        labelled(pictures[start : start + AT_ONCE], encoder, device, 1).innate_ND
        for start in range(0, len(pictures), AT_ONCE)
    ]
    label_N = np.array([names.index(picture.label) for picture in pictures])
    order_N = np.random.default_rng(seed).permutation(len(pictures))
    return np.concatenate(parts).astype(np.float16)[order_N], label_N[order_N]
