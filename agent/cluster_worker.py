"""A round of the clusterer: embeddings after its cursor in, a clustering out. Only the database crosses the line.

It knows nothing about pictures' pixels, training or sources, and never imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray

from agent.beyond import Beyond, joined, with_beyond
from agent.clusterer import Clusterer, Embedded, Partition
from agent.config import ClusterConfig
from agent.due import IDLE, SHIFT, Due
from agent.inquiries import Inquiry, after_round, as_values, still_there
from agent.lineage import LineageResult, follow
from agent.map_maker import MapMaker
from agent.round_context import RoundContext
from agent.window import choose_window
from storage.errors import Outdated
from storage.facts import Fact, followed, leading
from storage.offspring import adopting
from storage.overrule import overrule, rows_of
from storage.queries import Queries
from storage.records import Assignments, Clustering, ClusterRecord, Event, EventType
from storage.rows import ClusteringRow
from storage.store import Store

log = structlog.get_logger(__name__)

NONE = -1
# Pictures that one line of the log names.
NAMED = 5

CHOICE = "clusterer"
"""State key: the parameters that the last round was made with."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a round goes out from.

    Attributes:
        reason: why it is due.
        began_s: by the clock of the worker.
        base: the revision that people saw when it began; what they do meanwhile overtakes it.
        shift: the last event of a shift.
        last: the round before.
        version: of the encoder.
        through: the last picture that it knows of.
        facts: what people have decided, in order.
        leaders: pictures that lead kinds of people, and these.
        previous: living kinds by id.
    """

    reason: str
    began_s: float
    base: int
    shift: int
    last: ClusteringRow | None
    version: int
    through: int
    facts: Sequence[Fact]
    leaders: Mapping[int, int]
    previous: Mapping[int, ClusterRecord]

    @property
    def idle(self) -> bool:
        """Whether there may be nothing new."""
        return self.reason in IDLE


class ClusterWorker:
    """Carries a round that is due from embeddings to the one row that makes it visible.

    Args:
        map_maker: has the time that is left; without one there is no map.
    """

    def __init__(
        self,
        clusterer: Clusterer,
        store: Store,
        queries: Queries,
        config: ClusterConfig,
        clock: Callable[[], float] = time.monotonic,
        map_maker: MapMaker | None = None,
    ) -> None:
        self._clusterer = clusterer
        self._map_maker = map_maker
        self._beyond = Beyond(store, queries, config.assign)
        self._store = store
        self._queries = queries
        self._config = config
        self._clock = clock
        self._due = Due(queries, config, clock)
        self._forgotten = queries.last_forgotten()
        self._ids_N, self._key_N = queries.window_keys()
        self._kind_of: dict[int, int] = {}
        self._fit_version, self._voted_through = 0, 0
        state = queries.state(CHOICE)
        if isinstance(state, dict):
            try:
                clusterer.load_state_dict(state)
            except ValueError as error:
                log.warning("parameters are chosen anew", why=str(error))

    def step(self, *, draining: bool = False) -> bool:
        """A round if one is due, else votes for what has arrived since and beyond the window, else a piece of the map.

        False if there was nothing to do.
        """
        reason = self._due.reason(draining=draining)
        if reason is None:
            voted = self._vote_between()
            return self.beyond_step() or voted or self.map_step(draining=draining)
        try:
            self.round(reason)
        except Outdated as overtaken:
            self._kind_of = {}  # it may name kinds that never came to be
            log.info("overtaken, the round is repeated", reason=str(overtaken))
        return True

    def beyond_step(self) -> bool:
        """A piece of those beyond the window whose kind is not what it was; False when all have been asked."""
        return self._beyond.step()

    def map_step(self, *, draining: bool = False) -> bool:
        """A piece of the map; False when there is nothing to do for it."""
        return self._map_maker is not None and self._map_maker.step(draining=draining)

    # ---------------------------------------------------------------- one round

    def round(self, reason: str) -> int:
        """Cluster the window at the newest ready version; returns the clustering's id."""
        start = self._start(reason)
        ids_N = self._window(start)
        before, read = self._queries.said(ids_N), partial(self._read, start.version)
        partition = self._clusterer.fit(
            ids_N, read, start.version, before=before, leaders=start.leaders, examine=start.idle
        )
        result = follow(start.previous, before, partition, self._context(start), self._config)
        self._kind_of = {**result.kind_of, NONE: NONE}
        self._fit_version, self._voted_through = start.version, start.through
        said, pending = self._said(start, partition, result)
        clustering = self._clustering(start, partition, result, said)
        kept = {**as_values(pending), SHIFT: start.shift, CHOICE: self._clusterer.state_dict()}
        window = partition.ids_N.tolist()
        clustering_id = self._store.add_clustering(clustering, base=start.base, kept=kept, window=window)
        self._beyond.begin(pending)
        self._due.have_seen(start.shift)
        kinds = len(set(result.assignments.cluster_N.tolist()) - {NONE})
        sizes = {"pictures": len(partition.ids_N), "kinds": kinds, "seconds": round(clustering.seconds, 2)}
        log.info("round", clustering=clustering_id, reason=reason, **sizes)
        return clustering_id

    def _start(self, reason: str) -> Start:
        began_s, base = self._clock(), self._queries.revision()  # before all else that a correction may change
        shift, last = self._queries.last_shift(), self._queries.last_clustering()
        version, facts = self._queries.ready_version(), self._queries.facts()
        through = self._queries.embedded_through(version)
        previous = {cluster.id: cluster for cluster in self._queries.living_clusters()}
        return Start(reason, began_s, base, shift, last, version, through, facts, leading(facts), previous)

    def _context(self, start: Start) -> RoundContext:
        return RoundContext(
            newest_picture=start.through,
            new_pictures=self._due.waiting(start.last, start.through),
            idle=start.idle,
            new_id=lambda: self._store.allocate_clusters(1)[0],
            shown=lambda assignments, born: overrule(assignments, adopting(start.facts, born))[0],
            seen_through=start.last.through_picture if start.last else None,
            leaders=start.leaders,
            valley=self._clusterer.valley,
        )

    def _said(
        self, start: Start, partition: Partition, result: LineageResult
    ) -> tuple[Assignments, tuple[Inquiry, ...]]:
        """What the agent says of the window and of what lies beyond, and who beyond it is still to be asked."""
        assignments = self._with_votes(result.assignments, partition.ids_N, start)
        pending = after_round(still_there(self._beyond.pending, start.previous), result, start.through)
        said, pending = with_beyond(assignments, pending, self._queries, self._config.assign)
        return as_if_alone(said, partition, self._kind_of, start.leaders), pending

    def _clustering(self, start: Start, partition: Partition, result: LineageResult, said: Assignments) -> Clustering:
        """The round as it is revealed: what the agent says, with what people have decided over it."""
        facts = adopting(start.facts, [record for record in result.clusters if record.id not in start.previous])
        wanted, decided_N = overrule(said, facts)
        core_N = result.assignments.core_N
        return Clustering(
            encoder_version=start.version,
            through_picture=start.through,
            window_size=len(partition.ids_N),
            seconds=self._clock() - start.began_s,
            parameters={**partition.parameters, "reason": start.reason},
            clusters=tuple(with_own_exemplars(record, wanted) for record in result.clusters),
            assignments=wanted,
            events=tuple(with_place(event, facts) for event in result.events),
            overruled=rows_of(said, decided_N),
            voters=self._voters(result.assignments),
            near=self._clusterer.near(np.where(core_N, result.assignments.cluster_N, NONE)),
        )

    def _archive(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Ids and hash keys (N,) of all pictures; only new ones are read, and all when some have been forgotten."""
        forgotten = self._queries.last_forgotten()
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self._ids_N, self._key_N = self._queries.window_keys()
        ids_N, key_N = self._queries.window_keys(after=int(self._ids_N[-1]) if len(self._ids_N) else 0)
        self._ids_N, self._key_N = np.concatenate([self._ids_N, ids_N]), np.concatenate([self._key_N, key_N])
        return self._ids_N, self._key_N

    def _window(self, start: Start) -> NDArray[np.int64]:
        all_N, key_N = self._archive()
        seen_N = all_N <= start.through
        exemplars = [i for cluster in start.previous.values() for i in cluster.exemplars]
        wanted = [*exemplars, *first_of_each(start.leaders, self._config.exemplars)]
        return choose_window(all_N[seen_N], key_N[seen_N], wanted, self._config.window)

    def _read(self, version: int, ids_N: NDArray[np.int64]) -> Embedded:
        """Vectors of a version.

        Raises:
            Outdated: when another is ready by now, since this one's vectors may be gone.
        """
        embedded = self._embedded(version, ids_N)
        if version != self._queries.ready_version():
            raise Outdated("another encoder version is ready; cluster with that one")
        return embedded

    def _embedded(self, version: int, ids_N: NDArray[np.int64]) -> Embedded:
        embedded = Embedded(*self._queries.embeddings(ids_N, version))
        finite = embedded.finite()
        if len(finite.ids_N) < len(embedded.ids_N):
            broken = np.setdiff1d(embedded.ids_N, finite.ids_N).tolist()
            named = [picture.sha256 for i in broken[:NAMED] for picture in self._queries.pictures_after(i - 1, 1)]
            log.error(
                "a vector is not finite and is left out; `forget` such pictures", pictures=len(broken), some=named
            )
        return finite

    # ---------------------------------------------------------------- votes

    def _voters(self, of_window: Assignments) -> dict[str, object] | None:
        voters = self._clusterer.voters(self._kind_of.__getitem__, of_window.cluster_N == NONE)
        return None if voters is None else voters.state_dict()

    def _with_votes(self, inside: Assignments, window_N: NDArray[np.int64], start: Start) -> Assignments:
        """Add a vote for pictures after the cursor that found no place in the window."""
        all_N, _ = self._archive()
        cursor = start.last.through_picture if start.last else 0
        outside_N = np.setdiff1d(all_N[(all_N > cursor) & (all_N <= start.through)], window_N)
        if len(outside_N) == 0:
            return inside
        return joined(inside, self._vote(outside_N))

    def _vote(self, ids_N: NDArray[np.int64]) -> Assignments:
        seen = self._embedded(self._fit_version, ids_N)
        kind_of = self._kind_of.__getitem__
        cluster_M, probability_M = self._clusterer.vote(seen.innate_ND, seen.learned_ND, kind_of)
        return Assignments(seen.ids_N, cluster_M, probability_M, np.zeros(len(cluster_M), dtype=np.bool_))

    def _vote_between(self) -> bool:
        """Give arrivals the kind that their neighbours vote for, at once; without one they wait for the round."""
        if not self._kind_of or self._fit_version != self._queries.ready_version():
            return False
        newest = self._queries.embedded_through(self._fit_version)
        if newest <= self._voted_through:
            return False
        votes = self._vote(np.arange(self._voted_through + 1, newest + 1, dtype=np.int64))
        base = self._queries.revision()
        living = [record.id for record in self._queries.living_clusters()]
        sure_M = np.isin(votes.cluster_N, np.array(living, dtype=np.int64))
        if sure_M.any():
            said = rows_of(votes, sure_M)
            wanted, decided_N = overrule(said, self._queries.facts())
            try:
                self._store.revise(wanted, base=base, overruled=rows_of(said, decided_N))
            except Outdated:
                return True
        self._voted_through = newest
        self._due.have_met(int((~sure_M).sum()))
        return True


def with_own_exemplars(record: ClusterRecord, shown: Assignments) -> ClusterRecord:
    """The record without exemplars that people have placed elsewhere, as long as others are left."""
    elsewhere = set(shown.picture_N[shown.cluster_N != record.id].tolist())
    own = tuple(picture for picture in record.exemplars if picture not in elsewhere)
    return replace(record, exemplars=own or record.exemplars)


def with_place(event: Event, facts: Sequence[Fact]) -> Event:
    """A split with the kinds in which people see those of its parts that go with a merge; no other event says it."""
    taken = {kind for fact in facts for kind in fact.offspring} & set(event.other_ids)
    if event.type is not EventType.SPLIT or not taken:
        return event
    return replace(event, detail={**event.detail, "seen_in": {str(k): followed(k, facts) for k in sorted(taken)}})


def first_of_each(leaders: Mapping[int, int], most: int) -> list[int]:
    """Up to so many pictures of each kind that people made."""
    of_kind: dict[int, list[int]] = {}
    for picture, kind in leaders.items():
        of_kind.setdefault(kind, []).append(picture)
    return [picture for pictures in of_kind.values() for picture in sorted(pictures)[:most]]


def as_if_alone(
    assignments: Assignments, partition: Partition, kind_of: Mapping[int, int], leaders: Mapping[int, int]
) -> Assignments:
    """The same, but of what leads a kind of people what the agent would say without: undoing gives that back."""
    alone = partition.alone
    if alone is None:
        return assignments
    at_N = np.flatnonzero(np.isin(partition.ids_N, np.fromiter(leaders, dtype=np.int64)))
    cluster_N, probability_N = assignments.cluster_N.copy(), assignments.probability_N.copy()
    core_N = assignments.core_N.copy()
    cluster_N[at_N] = [kind_of[label] for label in alone.label_N[at_N].tolist()]
    probability_N[at_N], core_N[at_N] = alone.probability_N[at_N], alone.core_N[at_N]
    return Assignments(assignments.picture_N, cluster_N, probability_N, core_N)
