"""Pictures and rounds of a clusterer that tests are about."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.cluster_worker import ClusterWorker
from agent.config import ClusterConfig
from storage.queries import Queries
from storage.records import PictureRecord
from storage.store import Store
from tests.factories import picture

CONFIG = ClusterConfig(every=60, idle_s=5, near_copy=1.0)


def blob(numbers: range, centre: int) -> list[PictureRecord]:
    """Pictures whose innate vectors lie around one of the axes."""
    records = []
    for n in numbers:
        vector = np.random.default_rng(n).normal(0, 0.12, 16)
        vector[centre] += 1
        records.append(replace(picture(n), innate_D=vector.astype(np.float16)))
    return records


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def states(queries: Queries) -> list[str]:
    return [kind.state.value for kind in queries.clusters()]


def kinds_of(queries: Queries, *picture_ids: int) -> list[int]:
    found: list[int] = queries.assignments(picture_ids).cluster_N.tolist()
    return found


def until_nothing_is_due(worker: ClusterWorker) -> None:
    for _ in range(5):
        if not worker.step():
            return
    pytest.fail("there is always something to do")


def publish_rotated(store: Store, queries: Queries) -> None:
    """A version under which everything lies elsewhere, and as far apart as before."""
    ids = queries.assignments().picture_N
    version = store.begin_version("", {})
    _, innate, _ = queries.embeddings(ids, 1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))[0]
    store.add_embeddings(version, ids.tolist(), (innate.astype(np.float64) @ rotation).astype(np.float16))
    store.publish_version(version)
