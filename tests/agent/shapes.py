"""Point clouds and hand-drawn rounds for the tests of clustering and lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from agent.partition import Partition
from storage.records import Assignments


def blobs(
    sizes: Sequence[int], dims: int = 16, spread: float = 0.25, noise: int = 0, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gaussian clouds around random directions, then uniform noise (label -1); rows in random order."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), dims))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    scale = spread / np.sqrt(dims)
    clouds = [centre + scale * rng.normal(size=(size, dims)) for centre, size in zip(centres, sizes, strict=True)]
    points = np.vstack([*clouds, rng.uniform(-0.5, 0.5, size=(noise, dims))])
    labels = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(noise, -1)])
    order = rng.permutation(len(points))
    return points[order].astype(np.float32), labels[order].astype(np.int64)


def drawn(labels: Mapping[int, int], core: bool = True, stability: float = 0.0) -> Partition:
    """A partition from picture id -> label; -1 is unassigned."""
    ids = np.array(sorted(labels), dtype=np.int64)
    label_N = np.array([labels[i] for i in ids.tolist()], dtype=np.int64)
    kinds = range(int(label_N.max(initial=-1)) + 1)
    return Partition(
        ids_N=ids,
        label_N=label_N,
        probability_N=np.where(label_N < 0, 0, 1).astype(np.float32),
        core_N=(label_N >= 0) & core,
        coarser=dict.fromkeys(kinds),
        exemplars={kind: tuple(ids[label_N == kind][:3].tolist()) for kind in kinds},
        statistics={kind: {"size": float((label_N == kind).sum()), "stability": stability} for kind in kinds},
        parameters={},
    )


def assigned(clusters: Mapping[int, int]) -> Assignments:
    """Assignments from picture id -> cluster id, all core."""
    ids = np.array(sorted(clusters), dtype=np.int64)
    cluster_N = np.array([clusters[i] for i in ids.tolist()], dtype=np.int64)
    return Assignments(ids, cluster_N, np.ones(len(ids), dtype=np.float32), cluster_N >= 0)
