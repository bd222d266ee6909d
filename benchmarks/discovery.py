"""Kinds of a growing stream through the real clusterer and the real lineage, in memory, scored by hidden classes."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig
from agent.lineage import follow
from agent.round_context import RoundContext
from benchmarks.metrics import UNASSIGNED, Agreement, agreement
from storage.records import Assignments, ClusterRecord, ClusterState, Event

PURITY = 0.6
"""Share of a kind's members that one class must have for the class to count as discovered."""


class Discovery:
    """One stream's rounds.

    Args:
        label_N: hidden class of every picture of the set; a picture's id is its index plus one.

    Attributes:
        delay_of: class -> pictures of it that had arrived, in the window or not, when an active kind was mostly of it.
        kept: share of pictures that kept their id, per round, of those that had one before.
        records: every kind there has been, by id.
        assignments: of the last round.
        events: of the last round.
    """

    def __init__(self, config: ClusterConfig, label_N: NDArray[np.int64], seed: int) -> None:
        self.delay_of: dict[int, int] = {}
        self.kept: list[float] = []
        self._config = config
        self._label_N = label_N
        self._clusterer = Clusterer(config, np.random.default_rng(seed))
        self.records: dict[int, ClusterRecord] = {}
        self.assignments = _nothing()
        self.events: tuple[Event, ...] = ()
        self._last_id = 0

    def round(
        self,
        window_N: NDArray[np.int64],
        innate_ND: NDArray[np.floating],
        learned_ND: NDArray[np.floating] | None,
        version: int,
        *,
        idle: bool = False,
        arrived_M: NDArray[np.int64] | None = None,
    ) -> Agreement:
        """Clusters the window (indices, in order of arrival), and follows the kinds.

        Args:
            innate_ND, learned_ND: of the pictures in the window.
            arrived_M: indices of all that has arrived, where the window holds less.
        """
        ids_N = window_N + 1
        window = Embedded(ids_N, innate_ND, learned_ND)
        partition = self._clusterer.fit(ids_N, window.of, version, before=self.assignments)
        arrivals = int((~np.isin(ids_N, self.assignments.picture_N)).sum())
        newest, valley = int(ids_N.max()), self._clusterer.valley
        context = RoundContext(newest, arrivals, idle, self._new_id, valley=valley)
        result = follow(self.living(), self.assignments, partition, context, self._config)
        self.records |= {record.id: record for record in result.clusters}
        self._tell_kept(result.assignments)
        self.assignments, self.events = result.assignments, result.events
        self._tell_delays(window_N if arrived_M is None else arrived_M, result.assignments)
        return agreement([str(c) for c in self._label_N[partition.ids_N - 1]], result.assignments.cluster_N.tolist())

    def glance(
        self,
        window_N: NDArray[np.int64],
        innate_ND: NDArray[np.floating],
        learned_ND: NDArray[np.floating] | None,
        version: int,
    ) -> Agreement:
        """What a round would find if nothing more arrived; ids, parameters and the window stay as they are."""
        return copy.deepcopy(self).round(window_N, innate_ND, learned_ND, version, idle=True)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def name(self, cluster: int, name: str) -> None:
        """As a person would."""
        self.records[cluster] = replace(self.records[cluster], name=name)

    def living(self) -> dict[int, ClusterRecord]:
        """Kinds that have not ended."""
        return {i: record for i, record in self.records.items() if record.state is not ClusterState.ENDED}

    def _tell_kept(self, now: Assignments) -> None:
        was = dict(zip(self.assignments.picture_N.tolist(), self.assignments.cluster_N.tolist(), strict=True))
        pairs = [
            (was[picture], cluster)
            for picture, cluster in zip(now.picture_N.tolist(), now.cluster_N.tolist(), strict=True)
            if was.get(picture, UNASSIGNED) != UNASSIGNED
        ]
        if pairs:
            self.kept.append(float(np.mean([old == new for old, new in pairs])))

    def _tell_delays(self, arrived_M: NDArray[np.int64], now: Assignments) -> None:
        seen_C = np.bincount(self._label_N[arrived_M])
        class_of = self._label_N[now.picture_N - 1]
        for cluster, record in self.living().items():
            members = class_of[now.cluster_N == cluster]
            if record.state is not ClusterState.ACTIVE or len(members) == 0:
                continue
            share_C = np.bincount(members) / len(members)
            best = int(share_C.argmax())
            if share_C[best] >= PURITY:
                self.delay_of.setdefault(best, int(seen_C[best]))


def kinds_at_once(
    config: ClusterConfig,
    label_N: NDArray[np.int64],
    innate_ND: NDArray[np.floating],
    learned_ND: NDArray[np.floating] | None,
    seed: int,
) -> Agreement:
    """Kinds of one round over everything."""
    clusterer = Clusterer(config, np.random.default_rng(seed))
    ids_N = np.arange(len(label_N))
    partition = clusterer.fit(ids_N, Embedded(ids_N, innate_ND, learned_ND).of, version=1)
    return agreement([str(label) for label in label_N], partition.label_N.tolist())


def _nothing() -> Assignments:
    ids = np.empty(0, dtype=np.int64)
    return Assignments(ids, ids, np.empty(0, dtype=np.float32), np.empty(0, dtype=np.bool_))
