"""Identity over time: which kinds of this round are those of the last, which are new, and what became of the others.

Pure: the last round's records and assignments and this round's partition in; records, assignments and events out. It
knows nothing about embeddings, storage or clocks. The rules, in the order in which they are applied:

* A kind lives on in the label that holds the majority of its members; a named one wherever most of it is.
* Where several kinds meet in one label, the named ones live on, else the oldest; the others are absorbed. Two named
  kinds are never merged: each picture of the label keeps following the one it belongs to or lies nearest to.
* A named kind that is a small part of its label is a guest there: it keeps its members and grows by newcomers that lie
  nearest to them, and all else goes as it would without it. A name does not go to other pictures by itself.
* What splits off gets a new id with its parents; without a majority anywhere all parts do, and the kind has ended.
* A change of a confirmed kind waits for a second round that would change it too, or for stability when the stream is
  idle, and a split for a valley between the parts (`agent.second_sight`). Nothing waits where half of the window is
  new, nor a second time what splits off from several kinds at once.
* A kind that people made lives where what they put into it is (`agent.leading`).
* A kind whose density was not found keeps its members until that has been so for `cluster.patience` rounds, and only
  rounds count whose window held most of it: no kind ends because nothing new arrives, and a named one never does.
* Members that stay by this rule are no parts of other kinds: labels of none but such are no kinds, and what else is in
  theirs emerges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.config import ClusterConfig
from agent.matching import Match, count_members, match
from agent.membership import aligned, majority, newest_members, with_leaders
from agent.partition import NONE, Partition
from agent.round_context import RoundContext
from agent.second_sight import STABLE, SecondSight, Waiting
from storage.records import Assignments, ClusterRecord, ClusterState, Event, EventType

# A window that holds less than this of a kind's last known size says nothing about its absence.
WITNESSED = 0.5


@dataclass(frozen=True, slots=True)
class LineageResult:
    """What a round made of the kinds.

    Attributes:
        clusters: records that are new or changed, ended ones included; ascending ids.
        assignments: one entry for each picture of the partition, in its order.
        events: in the order in which they should be told.
        kind_of: label -> cluster id, for votes on pictures outside the window; where kinds share a label, the one that
            has more of it.
        heirs: ended cluster id -> the living id that took its members in, for pictures outside the window; kinds that
            went several ways or disappeared are not in it, and theirs must be voted on again.
    """

    clusters: tuple[ClusterRecord, ...]
    assignments: Assignments
    events: tuple[Event, ...]
    kind_of: dict[int, int]
    heirs: dict[int, int]


def follow(
    previous: Mapping[int, ClusterRecord],
    before: Assignments,
    partition: Partition,
    context: RoundContext,
    config: ClusterConfig,
) -> LineageResult:
    """Carry identities from the last round to this one.

    Args:
        previous: records of all kinds that have not ended, by id.
        before: current assignments of the window's pictures; others are ignored, and those that lack are new.
        partition: this round.
        context: what the round knows about the stream.
        config: section `cluster`; `dormant_after` and `patience` count here.
    """
    return _Round(previous, before, partition, context, config).result()


class _Round:
    """One round's work; each step fills in what the next one needs."""

    def __init__(
        self,
        previous: Mapping[int, ClusterRecord],
        before: Assignments,
        partition: Partition,
        context: RoundContext,
        config: ClusterConfig,
    ) -> None:
        self.previous = dict(previous)
        self.partition = partition
        self.context = context
        self.config = config
        self.named = {cluster for cluster, record in previous.items() if record.lasts}
        self.old, led_N = with_leaders(aligned(before, partition.ids_N, self.previous), context.leaders)
        through = np.inf if context.seen_through is None else context.seen_through
        self.member_N = np.where(led_N | (partition.ids_N <= through), self.old.cluster_N, NONE)
        self.records: dict[int, ClusterRecord] = {}
        self.events: list[Event] = []
        self.heirs: dict[int, int] = {}
        self.sight = SecondSight(self.previous, self.old.cluster_N, partition, context)
        self.coarser: dict[int, int | None] = {}

    def result(self) -> LineageResult:
        found, waiting = self.sight.judged(self._match())
        kept = self._unjudged(found) | self._undecided(found) | self._missing(found)
        found = replace(found, children={c: labels for c, labels in found.children.items() if c not in kept})
        waiting |= self._hollow(found, {*found.heirs, *waiting}, kept)
        born, parents = self._new_ids(found, waiting)
        living = {**found.heirs, **{label: (cluster,) for label, cluster in born.items()}}
        placed = {label: (*cs, *found.guests.get(label, ())) for label, cs in {**living, **waiting}.items()}
        assignments = self._assign(placed, found.guests, kept)
        kind_of = {label: self._strongest(assignments, label, clusters) for label, clusters in placed.items()}
        self.coarser = self._groups(kind_of)
        self._tell_born(born, parents)
        self._tell_splits(found, born, kind_of, kept)
        self._tell_absorbed(found, kind_of, kept)
        self._update_found(living, assignments, born, parents)
        self._update_found(found.guests, assignments, born, parents)
        self._update_ages(assignments)
        changed = tuple(self.records[i] for i in sorted(self.records) if self.records[i] != self.previous.get(i))
        return LineageResult(changed, assignments, tuple(self.events), kind_of, self.heirs)

    # ---------------------------------------------------------------- who lives on

    def _match(self) -> Match:
        labels = len(self.partition.coarser)
        part = self.partition
        table = count_members(self.member_N, part.label_N, self.old.core_N, part.core_N, self.previous.keys(), labels)
        return match(table, self.named)

    def _unjudged(self, found: Match) -> set[int]:
        """Kinds that lost their place, but of which the window holds too little to say so: they stay as they are."""
        lost = {*found.absorbed, *found.dissolved, *found.missing}
        return {cluster for cluster in lost if not self._witnessed(cluster)}

    def _undecided(self, found: Match) -> set[int]:
        """Kinds that went to several others at first sight: they stay as they are until it is seen again."""
        kept = {c for c in found.dissolved if c not in found.children and self.sight.waits(c, ())}
        for cluster in kept:
            record = self.previous[cluster]
            self.records[cluster] = replace(
                record, statistics={**record.statistics, "doubted": self.sight.doubted[cluster]}
            )
        return kept

    def _witnessed(self, cluster: int) -> bool:
        here = int((self.old.cluster_N == cluster).sum())
        return here >= WITNESSED * self.previous[cluster].statistics.get("size", 0.0)

    def _hollow(self, found: Match, taken: Collection[int], kept: set[int]) -> Waiting:
        """Labels of none but pictures that stay where they are: no kinds; label -> kind that has most of them.

        Where guests are, newcomers do not count either, since they may all follow them.
        """
        hollow: Waiting = {}
        stay_N = np.isin(self.old.cluster_N, np.fromiter(kept, dtype=np.int64))
        for label in sorted(self.partition.coarser):
            here_N, guests = self.partition.label_N == label, found.guests.get(label, ())
            free_N = ~stay_N & ~np.isin(self.member_N, (*guests, NONE)) if guests else ~stay_N
            if label not in taken and not (here_N & free_N).any():
                hollow[label] = (majority(self.old.cluster_N[here_N], tuple(sorted(kept))),)
        return hollow

    def _new_ids(self, found: Match, waiting: Waiting) -> tuple[dict[int, int], dict[int, tuple[int, ...]]]:
        """Label -> new id, and label -> the kinds it split from."""
        parents: dict[int, tuple[int, ...]] = {}
        for cluster, labels in sorted(found.children.items()):
            for label in labels:
                parents[label] = (*parents.get(label, ()), cluster)
        taken = {*found.heirs, *waiting}
        fresh = [label for label in sorted(self.partition.coarser) if label not in taken]
        return {label: self.context.new_id() for label in fresh}, parents

    def _missing(self, found: Match) -> set[int]:
        """Count the rounds of absence; returns the kinds that keep their members."""
        keep: set[int] = set()
        for cluster in found.missing:
            record = self.previous[cluster]
            if not self._witnessed(cluster):
                continue
            record = replace(record, absent_rounds=record.absent_rounds + 1, coarser=None)
            if record.absent_rounds >= self.config.patience and not record.lasts:
                self._end(record, EventType.DISAPPEARED, ())
            else:
                self.records[cluster] = record
                keep.add(cluster)
        return keep

    # ---------------------------------------------------------------- who belongs where

    def _assign(
        self, placed: Mapping[int, tuple[int, ...]], guests: Mapping[int, tuple[int, ...]], kept: Iterable[int]
    ) -> Assignments:
        part, old = self.partition, self.old
        cluster_N = np.full(len(part.ids_N), NONE, dtype=np.int64)
        for label, clusters in placed.items():
            rows = np.flatnonzero(part.label_N == label)
            shared = len(clusters) > 1
            cluster_N[rows] = self._divided(rows, clusters, label in guests) if shared else clusters[0]
        stay_N = np.isin(old.cluster_N, np.fromiter(kept, dtype=np.int64))
        return Assignments(
            picture_N=part.ids_N,
            cluster_N=np.where(stay_N, old.cluster_N, cluster_N),
            probability_N=np.where(stay_N, old.probability_N, part.probability_N).astype(np.float32),
            core_N=np.where(stay_N, old.core_N, part.core_N),
        )

    def _divided(self, rows: NDArray[np.int64], clusters: tuple[int, ...], hosted: bool) -> NDArray[np.int64]:
        """Pictures of a label that kinds share: each stays where it was, else follows its nearest neighbours.

        Args:
            hosted: there are guests, and what was in a kind that does not share goes to the first, which is none.
        """
        elsewhere = np.where(self.member_N != NONE, clusters[0], NONE) if hosted else NONE
        belongs_N = np.where(np.isin(self.member_N, clusters), self.member_N, elsewhere)
        largest = max(clusters, key=lambda cluster: (int((belongs_N[rows] == cluster).sum()), -cluster))
        neighbour_NK = self.partition.neighbour_NK
        open_rows = rows[belongs_N[rows] == NONE]
        while len(open_rows) and neighbour_NK.size:
            choice = np.array([majority(belongs_N[neighbour_NK[row]], clusters) for row in open_rows], dtype=np.int64)
            if (choice == NONE).all():
                break
            belongs_N[open_rows] = choice
            open_rows = open_rows[choice == NONE]
        return np.where(belongs_N[rows] == NONE, largest, belongs_N[rows])

    def _strongest(self, assignments: Assignments, label: int, clusters: tuple[int, ...]) -> int:
        members_N = assignments.cluster_N[self.partition.label_N == label]
        return max(clusters, key=lambda cluster: (int((members_N == cluster).sum()), -cluster))

    def _groups(self, kind_of: Mapping[int, int]) -> dict[int, int | None]:
        """Label -> the oldest kind among those with one parent in the condensed tree, whose nodes get new numbers."""
        oldest: dict[int | None, int] = {}
        for label, node in self.partition.coarser.items():
            oldest[node] = min(kind_of[label], oldest.get(node, kind_of[label]))
        return {label: None if node is None else oldest[node] for label, node in self.partition.coarser.items()}

    # ---------------------------------------------------------------- what is told

    def _tell_born(self, born: Mapping[int, int], parents: Mapping[int, tuple[int, ...]]) -> None:
        for label, cluster in born.items():
            if label not in parents:
                self.events.append(Event(EventType.EMERGED, cluster))

    def _tell_splits(self, found: Match, born: Mapping[int, int], kind_of: Mapping[int, int], kept: set[int]) -> None:
        for cluster, labels in sorted(found.children.items()):
            if cluster not in found.dissolved:
                self.events.append(Event(EventType.SPLIT, cluster, tuple(born[label] for label in labels)))
        for cluster in found.dissolved:
            if cluster not in kept:
                went_N = self.partition.label_N[self.old.cluster_N == cluster]
                labels_N, size_N = np.unique(went_N[went_N != NONE], return_counts=True)
                others = [kind_of[int(label)] for label in labels_N[np.lexsort((labels_N, -size_N))]]
                self._end(self.previous[cluster], EventType.SPLIT, tuple(dict.fromkeys(others)))

    def _tell_absorbed(self, found: Match, kind_of: Mapping[int, int], kept: set[int]) -> None:
        for cluster, label in sorted(found.absorbed.items()):
            if cluster not in kept:
                self.heirs[cluster] = kind_of[label]
                self._end(self.previous[cluster], EventType.ABSORBED, (kind_of[label],))

    def _end(self, record: ClusterRecord, why: EventType, others: tuple[int, ...]) -> None:
        self.records[record.id] = replace(record, state=ClusterState.ENDED, coarser=None)
        detail: dict[str, object] = {"ended": True} if why is EventType.SPLIT else {}
        self.events.append(Event(why, record.id, others, detail))

    # ---------------------------------------------------------------- records of the living

    def _update_found(
        self,
        living: Mapping[int, tuple[int, ...]],
        assignments: Assignments,
        born: Mapping[int, int],
        parents: Mapping[int, tuple[int, ...]],
    ) -> None:
        for label, clusters in living.items():
            for cluster in clusters:
                record = self.previous.get(cluster)
                if record is None:
                    record = ClusterRecord(cluster, ClusterState.PROVISIONAL, parents=parents.get(label, ()))
                record = self._measured(record, label, assignments)
                again = cluster not in born.values() and self.context.new_pictures > 0
                stable = self.context.idle and record.statistics.get("stability", 0.0) >= STABLE
                if record.state is ClusterState.PROVISIONAL and (again or stable):
                    record = replace(record, state=ClusterState.ACTIVE)
                    self.events.append(Event(EventType.CONFIRMED, cluster))
                self.records[cluster] = record

    def _measured(self, record: ClusterRecord, label: int, assignments: Assignments) -> ClusterRecord:
        """The record with what this round found about it."""
        part = self.partition
        member_N = assignments.cluster_N == record.id
        own = set(part.ids_N[member_N].tolist())
        exemplars = tuple(picture for picture in part.exemplars[label] if picture in own)
        sizes = {"size": float(member_N.sum()), "core_size": float((member_N & assignments.core_N).sum())}
        if record.id in self.sight.doubted:
            sizes["doubted"] = self.sight.doubted[record.id]
        return replace(
            record,
            coarser=self.coarser[label],
            absent_rounds=0,
            exemplars=exemplars or record.exemplars,
            statistics={**part.statistics[label], **sizes},
        )

    def _living(self, cluster: int | None) -> int | None:
        """The same, unless it has ended."""
        record = None if cluster is None else self.records.get(cluster, self.previous.get(cluster))
        return None if record is None or record.state is ClusterState.ENDED else cluster

    def _update_ages(self, assignments: Assignments) -> None:
        """Newest members, and by them who is dormant and who is back."""
        born = [record for cluster, record in self.records.items() if cluster not in self.previous]
        newest, seen = newest_members(assignments), newest_members(self.context.shown(assignments, born))
        for cluster in sorted({*self.previous, *self.records}):
            record = self.records.get(cluster, self.previous.get(cluster))
            if record is None or record.state is ClusterState.ENDED:
                continue
            last = max(record.last_new_picture, newest.get(cluster, 0), seen.get(cluster, 0))
            gained = last > record.last_new_picture
            silent = self.context.newest_picture - last >= self.config.dormant_after
            record = replace(record, last_new_picture=last, coarser=self._living(record.coarser))
            if record.state is ClusterState.ACTIVE and silent:
                record = replace(record, state=ClusterState.DORMANT)
                self.events.append(Event(EventType.DORMANT, cluster))
            elif record.state is ClusterState.DORMANT and gained and not silent:
                record = replace(record, state=ClusterState.ACTIVE)
                self.events.append(Event(EventType.REVIVED, cluster))
            self.records[cluster] = record
