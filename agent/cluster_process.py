"""The clusterer's process: rounds as they are due, until the agent stops or is gone.

It never imports torch.
"""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import signal
from multiprocessing.synchronize import Event as ProcessEvent

import numpy as np
from sqlalchemy import Engine

from agent.cluster_worker import ClusterWorker
from agent.clusterer import Clusterer
from agent.config import ClusterConfig, LogConfig
from agent.logs import configure_logs
from agent.map_maker import MapMaker
from agent.patience import Patience
from storage.engine import open_engine, pulse
from storage.queries import Queries
from storage.store import Store

POLL_S = 0.25
LOOK_S = 1.0
"""So often a worker looks whether it has to do anything even if nobody has written: some of it is told by the clock."""


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
