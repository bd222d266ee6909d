"""The map, made a little at a time between the rounds: what the last round looked at, from the store and into it again.

The work is cut into epochs, pages of places that are written, and pages of older pictures that are placed among their
neighbours, so that a map of any size holds up rounds, votes and the end of the agent by a fraction of a second. It is
not made again before `cluster.map_share` of the time allows. One that was not finished is begun again after a restart.
It knows nothing about kinds: those that look at the map put the two together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from agent.clusterer import Clusterer, Embedded
from agent.config import ClusterConfig
from agent.layout import Layout, among_neighbours, fanned
from agent.observed import Observed
from agent.space import Points, Space
from storage.queries import Queries
from storage.rows import ClusteringRow
from storage.store import Store

log = structlog.get_logger(__name__)

STATE = "map"
"""Key under which stands after which round the map was made."""

SLICE_S = 0.2
"""So long a step goes on with such pieces."""

PAGE = 1_000
"""Pictures that are read, placed and written in one step."""

PAGES_BEYOND = 10
"""Pages of the archive looked through after each map for pictures outside the window, from the newest on, in turns."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What is laid out, as it was when the map was begun: rounds may go on meanwhile."""

    version: int
    space: Space
    ids_N: NDArray[np.int64]
    points_RP: Points


class MapMaker:
    """Makes a map after a round, whenever there is nothing better to do.

    Args:
        rng: decides all that is drawn; the same generator, round and last map give the same map.
        clock: seconds, of which the map takes its share.
    """

    def __init__(
        self,
        clusterer: Clusterer,
        store: Store,
        queries: Queries,
        config: ClusterConfig,
        rng: np.random.Generator,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clusterer, self._store, self._queries, self._config = clusterer, store, queries, config
        self._seed, self._clock = int(rng.integers(2**63)), clock
        self._work: Iterator[None] | None = None
        self._spent_s, self._next_at = 0.0, clock()
        self._walked_to: int | None = None
        made_after = queries.state(STATE)
        self._made_after = made_after if isinstance(made_after, int) else 0

    def step(self, *, draining: bool = False) -> bool:
        """A piece of the map; False when the map is that of the last round, or must wait."""
        if self._work is None:
            last = self._queries.last_clustering()
            if last is None or not self._due(last, draining):
                return False
            self._work, self._spent_s = self._make(last), 0.0
        if not self._go_on(self._work):
            self._work = None
            log.info("map", after=self._made_after, seconds=round(self._spent_s, 2))
            self._next_at = self._clock() + self._spent_s * (1 / self._config.map_share - 1)
        return True

    def _go_on(self, work: Iterator[None]) -> bool:
        """A slice of the work; False when that was all."""
        started = self._clock()
        finished = all(self._clock() - started < SLICE_S for _ in work)
        self._spent_s += self._clock() - started
        return not finished

    def _due(self, last: ClusteringRow, draining: bool) -> bool:
        if self._config.map_share == 0 or last.id == self._made_after:
            return False
        return draining or self._clock() >= self._next_at

    def _make(self, last: ClusteringRow) -> Iterator[None]:
        rng = np.random.default_rng([self._seed, last.id])
        observed = self._clusterer.observed or self._observe(last.encoder_version, rng)
        if observed is not None:
            bursts, ids_N, row_R = observed.bursts, observed.ids_N, observed.bursts.row_R
            burst_N, leads_N = bursts.burst_N, bursts.leader_N == np.arange(len(ids_N))
            seen = Observations(observed.version, observed.space, ids_N, bursts.points_ND[row_R])
            layout = Layout(seen.points_RP, bursts.graph(), self._queries.layout(ids_N[row_R]), rng)
            while layout.step():
                yield
            place_R2 = layout.places()
            yield from self._write(seen.version, ids_N, fanned(place_R2, burst_N, leads_N, ids_N))
            yield from self._place_beyond(seen, place_R2)
        self._store.set_state(STATE, last.id)
        self._made_after = last.id

    def _observe(self, version: int, rng: np.random.Generator) -> Observed | None:
        """The window of the last round, where the agent was started since."""
        window = Embedded(*self._queries.embeddings(self._queries.window(), version)).finite().ascending()
        return Observed(window, version, self._config, rng) if len(window.ids_N) else None

    def _write(self, version: int, ids_N: NDArray[np.int64], place_N2: Points) -> Iterator[None]:
        for start in range(0, len(ids_N), PAGE):
            page = slice(start, start + PAGE)
            self._store.set_layout(version, ids_N[page].tolist(), place_N2[page])
            yield

    def _place_beyond(self, seen: Observations, place_R2: Points) -> Iterator[None]:
        """Some of the pictures outside the window; without vectors of the version they stay where they are."""
        for _ in range(PAGES_BEYOND):
            page_M = self._queries.ids_before(self._walked_to, PAGE)
            self._walked_to = int(page_M[-1]) if len(page_M) == PAGE else None
            outside_M = page_M[~np.isin(page_M, seen.ids_N)]
            found = Embedded(*self._queries.embeddings(outside_M, seen.version)).finite()
            if len(found.ids_N):
                points_MP = seen.space.project(found.innate_ND, found.learned_ND)
                place_M2 = among_neighbours(place_R2, seen.points_RP, points_MP)
                self._store.set_layout(seen.version, found.ids_N.tolist(), place_M2)
            yield
            if self._walked_to is None:
                return
