"""Orders in which a labelled set arrives, built with Avalanche's benchmark classes. The agent never sees a label.

`class`: some classes after the others; `iid`: all mixed; `blurred`: one group of classes fades into the next (Zeno et
al. 2018); `frames`: class by class, each picture as a track of slightly moved frames, as a camera would see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

import agent.avalanche_parts  # noqa: F401  imports avalanche without its warnings

from avalanche.benchmarks import class_incremental_benchmark, new_instances_benchmark  # isort: skip
from avalanche.benchmarks.scenarios.online import split_continuous_linear_decay_stream  # isort: skip
from avalanche.benchmarks.utils import as_classification_dataset, make_avalanche_dataset  # isort: skip
from avalanche.benchmarks.utils.data_attribute import DataAttribute  # isort: skip

ORDERS = ("class", "iid", "blurred", "frames")
FRAMES = 6
"""Pictures of one track in the order `frames`."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the stream.

    Attributes:
        arrivals_N: indices into the set, in order of arrival.
        classes: those that the stream has shown by the end of the stretch.
        fresh: those that it shows for the first time.
    """

    arrivals_N: NDArray[np.int64]
    classes: frozenset[int]
    fresh: frozenset[int]


def stages_of(
    label_N: NDArray[np.int64], order: str, stages: int, seed: int, class_seed: int | None = None
) -> list[Stage]:
    """The set in an order.

    Args:
        label_N: class numbers from 0.
        stages: stretches; for `class`, `blurred` and `frames` each brings its share of the classes.
        seed: of the order within a stretch.
        class_seed: of the order of the classes; None leaves them as they are numbered.
    """
    torch.manual_seed(seed)  # Avalanche draws from the global generator
    rng = np.random.default_rng(seed)
    classes = int(label_N.max()) + 1
    if order == "iid":
        parts = _new_instances(label_N, stages, seed)
    else:
        shuffled = np.arange(classes) if class_seed is None else np.random.default_rng(class_seed).permutation(classes)
        streams = _class_incremental(label_N, stages, shuffled.tolist())
        parts = _blurred(streams) if order == "blurred" else [_indices(experience) for experience in streams]
    if order == "frames":
        parts = [_tracks(part, rng) for part in parts]
    elif order != "blurred":
        parts = [rng.permutation(part) for part in parts]
    return _told(parts, label_N)


def _dataset(label_N: NDArray[np.int64]) -> object:
    """Avalanche's data set of the indices alone: pictures are never copied."""
    indices = TensorDataset(torch.arange(len(label_N)), torch.as_tensor(label_N))
    targets = DataAttribute(label_N.tolist(), "targets")
    return as_classification_dataset(make_avalanche_dataset(indices, data_attributes=[targets]))


def _class_incremental(label_N: NDArray[np.int64], stages: int, class_order: list[int]) -> Sequence[object]:
    shares = [len(part) for part in np.array_split(class_order, stages)]  # Avalanche drops what does not divide
    benchmark = class_incremental_benchmark(
        {"train": _dataset(label_N)}, class_order=class_order, num_classes_per_exp=shares
    )
    return list(benchmark.train_stream)


def _new_instances(label_N: NDArray[np.int64], stages: int, seed: int) -> list[NDArray[np.int64]]:
    whole = _dataset(label_N)
    benchmark = new_instances_benchmark(whole, whole, stages, shuffle=True, seed=seed)
    return [_indices(experience) for experience in benchmark.train_stream]


def _blurred(stream: Sequence[object]) -> list[NDArray[np.int64]]:
    """Each picture arrives once; Avalanche's samplers go round, so a few never do."""
    total = sum(len(_indices(experience)) for experience in stream)
    pieces, size = len(stream), 10
    blurred = split_continuous_linear_decay_stream(
        stream, experience_size=size, iters_per_virtual_epoch=total // (size * pieces), beta=3, shuffle=True
    )
    arrivals = list(dict.fromkeys(i for piece in blurred for i in _indices(piece).tolist()))
    return list(np.array_split(np.array(arrivals, dtype=np.int64), pieces))


def _indices(experience: object) -> NDArray[np.int64]:
    dataset = experience.dataset  # type: ignore[attr-defined]  # Avalanche is untyped
    return np.array([int(dataset[i][0]) for i in range(len(dataset))], dtype=np.int64)


def _tracks(part: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Tracks in any order, the frames of each one after another."""
    track_T = rng.permutation(np.unique(part // FRAMES))
    return np.asarray((track_T[:, None] * FRAMES + np.arange(FRAMES)).ravel(), dtype=np.int64)


def _told(parts: Iterable[NDArray[np.int64]], label_N: NDArray[np.int64]) -> list[Stage]:
    stages: list[Stage] = []
    seen: frozenset[int] = frozenset()
    for part in parts:
        now = frozenset(label_N[part].tolist())
        stages.append(Stage(part, seen | now, now - seen))
        seen |= now
    return stages
