"""Changes of kinds that wait: until a second round sees them too, and for as long as there is no valley between parts.

What one round splits and the next one joins again never was two kinds, and what the tree takes for two along a line
that no valley follows is mostly one again later. So a part splits off at the second sight, and only if the cores of it
and of the rest are apart (`CLEAR`), or if that has been so in `LASTING` rounds in a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from agent.matching import Match
from agent.partition import Partition
from agent.round_context import RoundContext
from storage.records import ClusterRecord, ClusterState

# Stability under subsampling that confirms when the stream is idle.
STABLE = 0.6
# Share of new pictures in the window from which a change need not be seen twice.
NEWS = 0.5
# Density between two parts over the lower of their peaks, up to which they are apart; and rounds in a row after which
# they split all the same.
CLEAR = 0.25
LASTING = 6

Waiting = dict[int, tuple[int, ...]]
"""Label -> kinds of which it is still a part."""


class SecondSight:
    """Judges what a match would change.

    Args:
        previous: records of the kinds, by id.
        old_N: kind of each picture of the partition in the round before.

    Attributes:
        doubted: kinds with changes that wait, and for how many rounds they have by now.
    """

    def __init__(
        self,
        previous: Mapping[int, ClusterRecord],
        old_N: NDArray[np.int64],
        partition: Partition,
        context: RoundContext,
    ) -> None:
        self._previous = previous
        self._old_N = old_N
        self._partition = partition
        self._context = context
        self.doubted: dict[int, float] = {}

    def judged(self, found: Match) -> tuple[Match, Waiting]:
        """The match without the changes that wait, and label -> kinds of which it is still a part."""
        return self._without_first_sights(*self._without_shared_borders(found))

    def _without_shared_borders(self, found: Match) -> tuple[Match, Waiting]:
        """The match without labels between several kinds that are clear of none of them, and those labels."""
        claims: dict[int, list[int]] = {}
        for cluster, labels in found.children.items():
            for label in labels:
                claims.setdefault(label, []).append(cluster)
        home = homes(found.heirs)
        waiting: Waiting = {}
        for label, clusters in claims.items():
            settled = len(clusters) > 1 and all(cluster in home for cluster in clusters)
            if settled and not any(self._parted(cluster, home[cluster], label) for cluster in clusters):
                waiting[label] = tuple(clusters)
                for cluster in clusters:
                    self._doubt(cluster)
        return replace(found, children=without(found.children, waiting)), waiting

    def _without_first_sights(self, found: Match, waiting: Waiting) -> tuple[Match, Waiting]:
        heirs, absorbed, dissolved = dict(found.heirs), dict(found.absorbed), set(found.dissolved)
        for cluster, label in found.absorbed.items():
            if self.waits(cluster, (label,)):
                heirs[label] = (*heirs[label], cluster)
                del absorbed[cluster]
        waiting, home = dict(waiting), homes(heirs)
        claimed = Counter(label for labels in found.children.values() for label in labels)
        for cluster, labels in found.children.items():
            if cluster in absorbed or any(claimed[label] > 1 for label in labels):
                continue
            base = home.get(cluster, max(labels, key=lambda label: (self._taken(cluster, label), -label)))
            first = self.waits(cluster, labels)
            staying = [label for label in labels if label != base and (first or not self._parted(cluster, base, label))]
            waiting |= dict.fromkeys(staying, (cluster,))
            if staying:
                self._doubt(cluster)
            if cluster in dissolved and (first or staying):
                heirs[base] = (cluster,)
                dissolved.remove(cluster)
        children = without(found.children, {*waiting, *heirs})
        return Match(heirs, absorbed, tuple(sorted(dissolved)), found.missing, children, found.guests), waiting

    def _parted(self, cluster: int, base: int, label: int) -> bool:
        """Whether the cores of two labels of a kind are apart, or have been seen as two for long.

        Taken for granted where most of the window is new.
        """
        if self._news or self._previous[cluster].statistics.get("doubted", 0.0) >= LASTING:
            return True
        part = self._partition
        one_N, other_N = ((part.label_N == one) & part.core_N for one in (base, label))
        return self._context.valley(one_N, other_N) <= CLEAR

    def _doubt(self, cluster: int) -> None:
        self.doubted[cluster] = self._previous[cluster].statistics.get("doubted", 0.0) + 1

    @property
    def _news(self) -> bool:
        return self._context.new_pictures >= NEWS * len(self._partition.ids_N)

    def _taken(self, cluster: int, label: int) -> int:
        return int(((self._old_N == cluster) & (self._partition.label_N == label)).sum())

    def waits(self, cluster: int, labels: tuple[int, ...]) -> bool:
        """Whether this is the first sight of a change of this kind, which the next round is to confirm."""
        record, statistics = self._previous[cluster], self._partition.statistics
        stable = self._context.idle and all(statistics[label].get("stability", 0.0) >= STABLE for label in labels)
        if self._news or stable or record.state is ClusterState.PROVISIONAL or "doubted" in record.statistics:
            return False
        self._doubt(cluster)
        return True


def homes(heirs: Mapping[int, tuple[int, ...]]) -> dict[int, int]:
    """Kind -> the label in which it lives on."""
    return {cluster: label for label, clusters in heirs.items() for cluster in clusters}


def without(children: Mapping[int, tuple[int, ...]], labels: Collection[int]) -> dict[int, tuple[int, ...]]:
    """The same, but these labels split off from nobody."""
    left = {cluster: tuple(label for label in mine if label not in labels) for cluster, mine in children.items()}
    return {cluster: mine for cluster, mine in left.items() if mine}
