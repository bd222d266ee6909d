"""The clusterer's process: embeddings after its cursor in, rounds out. Only the database crosses the line.

It knows nothing about pictures' pixels, training or sources, and never imports torch.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Event as ProcessEvent

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Engine

from agent.beyond import Beyond, joined, with_beyond
from agent.clusterer import Clusterer, Embedded, Partition
from agent.config import ClusterConfig, LogConfig
from agent.inquiries import after_round, as_values, still_there
from agent.lineage import follow
from agent.logs import configure_logs
from agent.map_maker import MapMaker
from agent.patience import Patience
from agent.round_context import RoundContext
from agent.window import choose_window
from storage.engine import open_engine, pulse
from storage.errors import Outdated
from storage.facts import Fact, followed, leading
from storage.offspring import adopting
from storage.overrule import overrule, rows_of
from storage.queries import Queries
from storage.records import Assignments, Clustering, ClusterRecord, Event, EventType
from storage.rows import ClusteringRow
from storage.states import RECLUSTER
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_S = 0.25
LOOK_S = 1.0
"""So often a worker looks whether it has to do anything even if nobody has written: some of it is told by the clock."""
# Reasons for a round in which nothing new may be coming, so that stability must confirm what new pictures cannot.
IDLE = ("idle", "drain", "requested")
NONE = -1
# Pictures that one line of the log names.
NAMED = 5

CHOICE = "clusterer"
"""State key: the parameters that the last round was made with."""
SHIFT = "shift_seen"
"""State key: the last event of a shift that a round has taken note of."""


class ClusterWorker:
    """Decides when a round is due and carries it from embeddings to the one row that makes it visible.

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
        self._newest = queries.last_picture_id()
        self._newest_at = clock()
        self._forgotten = queries.last_forgotten()
        self._ids_N, self._key_N = queries.window_keys()
        self._kind_of: dict[int, int] = {}
        self._fit_version, self._voted_through = 0, 0
        shift, state = queries.state(SHIFT), queries.state(CHOICE)
        self._shift, self._strangers = shift if isinstance(shift, int) else 0, 0
        if isinstance(state, dict):
            try:
                clusterer.load_state_dict(state)
            except ValueError as error:
                log.warning("parameters are chosen anew", why=str(error))

    def step(self, *, draining: bool = False) -> bool:
        """A round if one is due, else votes for what has arrived since and beyond the window, else a piece of the map.

        False if there was nothing to do.
        """
        reason = self._due(draining)
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

    def _due(self, draining: bool) -> str | None:
        last, version = self._queries.last_clustering(), self._queries.ready_version()
        if self._requested_after(last):
            return "requested"
        if last and last.encoder_version != version:
            return "version"
        waiting = self._waiting(last, self._queries.embedded_through(version))
        if waiting == 0:
            return self._idle_reason(draining) if last and self._unexamined(last) else None
        if waiting >= self._config.every:
            return "every"
        return self._news_reason(last, waiting) or self._idle_reason(draining)

    def _waiting(self, last: ClusteringRow | None, through: int) -> int:
        """Pictures since the last round, but for those that others stored and that have no vectors yet."""
        return self._queries.count_after(last.through_picture if last else 0, through)

    def _unexamined(self, last: ClusteringRow) -> bool:
        """Whether kinds wait to be confirmed, which the last round did not look at closely enough to do it."""
        return last.parameters.get("reason") not in IDLE and self._queries.unconfirmed()

    def _news_reason(self, last: ClusteringRow | None, waiting: int) -> str | None:
        """A round before its time, because what comes is of no known kind; once for the same news."""
        if last is None or waiting < self._config.min_size:
            return None
        if self._queries.last_shift() > self._shift:
            return "shift"
        many = max(self._config.min_size, self._config.strangers * last.window_size)
        return "strangers" if self._strangers >= many else None

    def _idle_reason(self, draining: bool) -> str | None:
        newest = self._queries.last_picture_id()
        if newest != self._newest:
            self._newest, self._newest_at = newest, self._clock()
        if draining:
            return "drain"
        return "idle" if self._clock() - self._newest_at > self._config.idle_s else None

    def _requested_after(self, last: ClusteringRow | None) -> bool:
        requested = self._queries.state(RECLUSTER)
        return isinstance(requested, int) and (last.id if last else 0) <= requested

    # ---------------------------------------------------------------- one round

    def round(self, reason: str) -> int:
        """Cluster the window at the newest ready version; returns the clustering's id."""
        started = self._clock()
        base, shift = self._queries.revision(), self._queries.last_shift()
        last = self._queries.last_clustering()
        version, idle = self._queries.ready_version(), reason in IDLE
        through = self._queries.embedded_through(version)
        facts = self._queries.facts()
        leaders = leading(facts)
        ids_N = self._window(through, leaders)
        before = self._queries.said(ids_N)
        previous = {cluster.id: cluster for cluster in self._queries.living_clusters()}
        read = partial(self._read, version)
        partition = self._clusterer.fit(ids_N, read, version, before=before, leaders=leaders, examine=idle)
        new_pictures = self._waiting(last, through)
        result = follow(
            previous,
            before,
            partition,
            RoundContext(
                newest_picture=through,
                new_pictures=new_pictures,
                idle=idle,
                new_id=lambda: self._store.allocate_clusters(1)[0],
                shown=lambda assignments, born: overrule(assignments, adopting(facts, born))[0],
                seen_through=last.through_picture if last else None,
                leaders=leaders,
                valley=self._clusterer.valley,
            ),
            self._config,
        )
        self._kind_of = {**result.kind_of, NONE: NONE}
        self._fit_version, self._voted_through = version, through
        grown = adopting(facts, [record for record in result.clusters if record.id not in previous])
        assignments = self._with_votes(result.assignments, partition.ids_N, last, through)
        pending = after_round(still_there(self._beyond.pending, previous), result, through)
        said, pending = with_beyond(assignments, pending, self._queries, self._config.assign)
        said = as_if_alone(said, partition, self._kind_of, leaders)
        wanted, decided_N = overrule(said, grown)
        clustering = Clustering(
            encoder_version=version,
            through_picture=through,
            window_size=len(partition.ids_N),
            seconds=self._clock() - started,
            parameters={**partition.parameters, "reason": reason},
            clusters=tuple(with_own_exemplars(record, wanted) for record in result.clusters),
            assignments=wanted,
            events=tuple(with_place(event, grown) for event in result.events),
            overruled=rows_of(said, decided_N),
            voters=self._voters(result.assignments),
            near=self._clusterer.near(np.where(result.assignments.core_N, result.assignments.cluster_N, NONE)),
        )
        kept = {**as_values(pending), SHIFT: shift, CHOICE: self._clusterer.state_dict()}
        window = partition.ids_N.tolist()
        clustering_id = self._store.add_clustering(clustering, base=base, kept=kept, window=window)
        self._beyond.begin(pending)
        self._shift, self._strangers = shift, 0
        kinds = len(set(result.assignments.cluster_N.tolist()) - {NONE})
        sizes = {"pictures": len(partition.ids_N), "kinds": kinds, "seconds": round(clustering.seconds, 2)}
        log.info("round", clustering=clustering_id, reason=reason, **sizes)
        return clustering_id

    def _archive(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Ids and hash keys (N,) of all pictures; only new ones are read, and all when some have been forgotten."""
        forgotten = self._queries.last_forgotten()
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self._ids_N, self._key_N = self._queries.window_keys()
        ids_N, key_N = self._queries.window_keys(after=int(self._ids_N[-1]) if len(self._ids_N) else 0)
        self._ids_N, self._key_N = np.concatenate([self._ids_N, ids_N]), np.concatenate([self._key_N, key_N])
        return self._ids_N, self._key_N

    def _window(self, through: int, leaders: Mapping[int, int]) -> NDArray[np.int64]:
        all_N, key_N = self._archive()
        seen_N = all_N <= through
        exemplars = [i for cluster in self._queries.living_clusters() for i in cluster.exemplars]
        wanted = [*exemplars, *first_of_each(leaders, self._config.exemplars)]
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

    def _with_votes(
        self, inside: Assignments, window_N: NDArray[np.int64], last: ClusteringRow | None, through: int
    ) -> Assignments:
        """Add a vote for pictures after the cursor that found no place in the window."""
        all_N, _ = self._archive()
        cursor = last.through_picture if last else 0
        outside_N = np.setdiff1d(all_N[(all_N > cursor) & (all_N <= through)], window_N)
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
        self._strangers += int((~sure_M).sum())
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


def recluster(url: str, config: ClusterConfig, seed: int) -> int:
    """One round now, and its map, in this process; for a data directory without a daemon."""
    worker = _worker(open_engine(url), config, seed)
    clustering_id = worker.round("requested")
    while worker.beyond_step():
        pass
    while worker.map_step(draining=True):
        pass
    return clustering_id


def _worker(engine: Engine, config: ClusterConfig, seed: int) -> ClusterWorker:
    clusterer, store, queries = Clusterer(config, np.random.default_rng(seed)), Store(engine), Queries(engine)
    map_maker = MapMaker(clusterer, store, queries, config, np.random.default_rng(seed))
    return ClusterWorker(clusterer, store, queries, config, map_maker=map_maker)


def run_cluster_process(
    url: str,
    config: ClusterConfig,
    seed: int,
    threads: int,
    logs: LogConfig,
    stop: ProcessEvent,
    drain: ProcessEvent,
) -> None:
    """Entry point of the spawned process; ends at `stop`, when drained, or when the agent is gone."""
    atexit.register(gc.freeze)  # looking through what was imported at the end takes longer than the end itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logs(logs)
    _limit_threads(threads)
    _work_on(open_engine(url), config, seed, stop, drain)


def _wanted(stop: ProcessEvent) -> bool:
    agent = multiprocessing.parent_process()
    return not stop.is_set() and (agent is None or agent.is_alive())


def _work_on(engine: Engine, config: ClusterConfig, seed: int, stop: ProcessEvent, drain: ProcessEvent) -> None:
    """Work until told to stop, whatever the storage does meanwhile."""
    patience = Patience(stop.wait)
    while _wanted(stop):
        # a new one after each failure, since a round that was cut off leaves half of a state behind
        if patience.attempt(lambda: _work(_worker(engine, config, seed), engine, stop, drain)):
            return


def _work(worker: ClusterWorker, engine: Engine, stop: ProcessEvent, drain: ProcessEvent) -> None:
    with engine.connect() as connection:
        while _wanted(stop):
            draining, seen = drain.is_set(), pulse(connection)
            if worker.step(draining=draining):
                continue
            if draining:
                return
            for _ in range(round(LOOK_S / POLL_S)):
                stop.wait(POLL_S)
                if drain.is_set() or not _wanted(stop) or pulse(connection) != seen:
                    break


def _limit_threads(threads: int) -> None:
    import faiss
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")  # products are taken in blocks, and blocks go to threads of ours
    faiss.omp_set_num_threads(threads)
