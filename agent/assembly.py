"""The composition root: the only place that names the concrete parts, starts them and stops them.

    folders -> decode pool ----> inbox -> embed thread -> store <- training (main thread)
    cameras (own processes) -> inbox                      store <- clusterer (own process)
    push (HTTP, own thread) -> decode pool -> inbox

The main thread trains, and looks at the stop flag between updates. An agent that only takes pictures in (`ingest_as`)
is the left half of this: another one on the same database trains, sorts, and embeds under what was learned.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import torch
from sqlalchemy import Engine

from agent.address import addresses
from agent.catalogue import StoreCatalogue
from agent.cluster_process import run_cluster_process
from agent.config import Config
from agent.decode import DecodePool
from agent.device import resolve_device
from agent.embed_worker import EmbedWorker
from agent.embedder import Embedder
from agent.encoder import Encoder, build_encoder
from agent.inbox import Inbox
from agent.learning import Learning
from agent.patience import Patience
from agent.published import published_tails
from agent.sources.camera import CameraSource
from agent.sources.folder import FolderSource
from agent.sources.guard import Guarded
from agent.sources.outages import Outages, still_away
from agent.sources.protocol import Health, Source
from agent.supervisor import GaveUp, Supervisor
from agent.uri import FRAMES, PUSHED, on_machine
from storage.queries import Queries
from storage.records import EventType
from storage.rows import EventRow
from storage.states import INGESTING
from storage.store import Store

if TYPE_CHECKING:
    from agent.train_worker import TrainWorker

log = structlog.get_logger(__name__)

BEAT_S = 2.0
SCRUB_S = 60.0
"""So often bytes of forgotten pictures are removed that a reader had kept from being removed."""
POLL_S = 0.1
STOP_S = 3.0
"""How long threads and the clusterer may take to stop; what is killed then loses nothing, all writes being whole."""
EVENTS_READ = 1_000
"""So many events about outages are read at the start, to know which were told and not their end."""


class Agent:
    """All the parts of one running agent, wired together.

    Args:
        still_ours: raises where another agent has taken the database over (`storage.engine.sole_agent`).
    """

    def __init__(
        self,
        config: Config,
        data: Path,
        url: str,
        engine: Engine,
        stop: threading.Event,
        still_ours: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._stop = stop
        self._still_ours = still_ours
        self._machine = config.ingest_as
        self._store = Store(engine)
        self._queries = Queries(engine)
        self._catalogue = StoreCatalogue(self._store, self._queries, self._machine)
        self._checkpoints = data / "checkpoints"
        if not self._machine:
            self._abandon_unfinished()
        self._pool = DecodePool(config.decode, least_px=config.encoder.image_px)
        self._inbox = Inbox(config.inbox.capacity)
        self._outages = Outages(still_away((row.type, dict(row.detail)) for row in self._told()))
        sources: list[Source] = [*self._folders(data), *self._cameras(data), *self._pushed(data)]
        self._sources = [Guarded(source, self._note) for source in sources]
        spawn = multiprocessing.get_context("spawn")
        self._cluster_stop, self._cluster_drain = spawn.Event(), spawn.Event()
        job = (url, config.cluster, config.seed, config.threads.cluster, config.log)
        self._clusterer = Supervisor("clusterer", run_cluster_process, (*job, self._cluster_stop, self._cluster_drain))
        self._beat_at = 0.0
        self._scrub_at = -SCRUB_S
        self._finished = False
        self._failures: list[Exception] = []

    def _folders(self, data: Path) -> list[FolderSource]:
        roots = [folder.resolve() for folder in self._config.folder.watch]
        exclude = (data.resolve(),)
        return [
            FolderSource(
                root, str(root), self._config.folder, self._catalogue, self._pool, self._inbox, exclude=exclude,
                note=self._note,
            )
            for root in roots
        ]  # fmt: skip

    def _cameras(self, data: Path) -> list[CameraSource]:
        return [
            CameraSource(
                address, self._config.camera, self._config.decode, self._catalogue, self._pool, self._inbox,
                data.resolve() / FRAMES / address.name,
                least_px=self._config.encoder.image_px, note=self._note,
            )
            for address in addresses(self._config.camera.watch, self._config.camera.snapshot.watch)
        ]  # fmt: skip

    def _pushed(self, data: Path) -> list[Source]:
        if not self._config.push.listen:
            return []
        from agent.sources.push import PushSource  # imports a web server

        folder = data.resolve() / PUSHED
        return [PushSource(self._config.push, self._catalogue, self._pool, self._inbox, folder, note=self._note)]

    def _note(self, source: str, health: Health, detail: str) -> None:
        self._outages.note(on_machine(self._machine, source), health, detail)

    def _told(self) -> list[EventRow]:
        """Events about sources, oldest first."""
        kinds = (EventType.SOURCE_OFFLINE, EventType.SOURCE_ONLINE)
        rows = [row for kind in kinds for row in self._queries.history(type=kind, limit=EVENTS_READ)]
        return sorted(rows, key=lambda row: row.id)

    def _abandon_unfinished(self) -> None:
        unfinished = self._queries.building_version()
        if unfinished is not None:
            self._store.abandon_version(unfinished)

    # ---------------------------------------------------------------- life

    def run(self, once: bool) -> None:
        """Start the parts, work, and stop them in the order in which pictures flow.

        Raises:
            Exception: what a worker died of.
        """
        threads: list[threading.Thread] = []
        learning: Learning | None = None
        try:
            if not self._machine:
                self._clusterer.start()
            sources = [self._thread(source.drain if once else source.run, self._remember) for source in self._sources]
            threads += sources
            embedding, learning = self._load()
            threads.append(self._thread(embedding.run, self._give_up))
            self._work(embedding, learning, sources if once else None)
        finally:
            self._shut_down(threads, learning)
        if self._failures:
            raise self._failures[0]

    def _load(self) -> tuple[EmbedWorker, Learning]:
        """The network, and the workers that it is for."""
        device = resolve_device(self._config.device)
        if self._config.threads.torch:
            torch.set_num_threads(self._config.threads.torch)
        encoder = build_encoder(self._config.encoder, self._config.seed).to(device)
        embedding = self._embed_worker(encoder, device)
        learning = Learning(
            self._config.learner,
            self._queries,
            partial(self._train_worker, encoder, device, embedding),
            enabled=not self._machine,
        )
        log.info("watching", sources=[source.name for source in self._sources], device=str(device))
        return embedding, learning

    def _thread(self, run: Callable[[threading.Event], None], failed: Callable[[Exception], None]) -> threading.Thread:
        thread = threading.Thread(target=self._watched, args=(run, failed), name=run.__qualname__, daemon=True)
        thread.start()
        return thread

    def _watched(self, run: Callable[[threading.Event], None], failed: Callable[[Exception], None]) -> None:
        try:
            run(self._stop)
        except Exception as error:  # noqa: BLE001  the edge of every worker
            failed(error)

    def _remember(self, error: Exception) -> None:
        """A source cannot be drained: the others go on, and it is said in the end."""
        self._failures.append(error)

    def _give_up(self, error: Exception) -> None:
        """Without this one the agent is blind."""
        self._failures.append(error)
        self._stop.set()

    def _embed_worker(self, encoder: Encoder, device: torch.device) -> EmbedWorker:
        tails = {} if self._machine else published_tails(encoder, self._queries, self._checkpoints)
        return EmbedWorker(
            self._inbox,
            Embedder(encoder, tails, device),
            self._store,
            self._queries,
            batch=self._config.inbox.batch,
            archive_share=self._config.publish.archive_share,
            machine=self._machine,
        )

    def _train_worker(self, encoder: Encoder, device: torch.device, embedding: EmbedWorker) -> TrainWorker:
        from agent.learner import Learner  # imports avalanche, so only where there is something to learn
        from agent.train_worker import TrainWorker

        learner = Learner(self._config, encoder, device)
        worker = TrainWorker(
            learner, self._store, self._queries, embedding, self._config, self._checkpoints, stop=self._stop.is_set
        )
        if worker.restore():
            log.info("learning goes on", learned_through=worker.learned_through)
        return worker

    def _work(self, embedding: EmbedWorker, learning: Learning, draining: list[threading.Thread] | None) -> None:
        """Train until stopped; with `draining` source threads, until there is nothing left to do."""
        patience = Patience(self._stop.wait)
        turn = partial(self._turn, embedding, learning, draining)
        while not (self._stop.is_set() or self._finished):
            patience.attempt(turn)

    def _turn(self, embedding: EmbedWorker, learning: Learning, draining: list[threading.Thread] | None) -> None:
        self._beat(embedding, learning)
        drained = draining is not None and not any(thread.is_alive() for thread in draining)
        if learning.step(draining=drained):
            return
        if drained and learning.done and not embedding.building:
            self._finished = bool(self._machine) or self._all_sorted(embedding)
        self._stop.wait(POLL_S)

    def _all_sorted(self, embedding: EmbedWorker) -> bool:
        """Tell the clusterer that nothing more comes; whether it is through."""
        if not (self._cluster_drain.is_set() or embedding.behind):
            self._cluster_drain.set()
        if self._clusterer.gave_up:
            raise GaveUp("the clusterer keeps dying, so pictures stay pending; its error stands above")
        return self._clusterer.finished

    def _beat(self, embedding: EmbedWorker, learning: Learning) -> None:
        now = time.monotonic()
        if now - self._beat_at < BEAT_S:
            return
        self._still_ours()
        self._clusterer.check()
        beats: dict[str, object] = {"daemon": datetime.now(UTC).isoformat()}
        beats["embedding_s_ago"] = round(now - embedding.beat, 1)
        if not self._machine:
            beats["clusterer"] = "down" if self._clusterer.gave_up else "running"
        self._tell({"heartbeats": beats, "queue": self._inbox.depth, **self._debt(learning)})
        self._beat_at = now  # not before: what could not be written is tried again
        if now - self._scrub_at >= SCRUB_S:
            self._scrub_at = now
            self._scrub()

    def _scrub(self) -> None:
        if not self._store.scrub():
            log.warning("what was forgotten is not off the disk yet: another program reads the database")

    def _tell(self, states: dict[str, object]) -> None:
        """Write these states and those of the sources, in one transaction, and what happened to the sources."""
        sources = [
            {"name": s.name, "health": s.health, "detail": s.detail, "counts": s.counts,
             "observer": s.observer, "observer_why": s.observer_why}
            for s in self._sources
        ]  # fmt: skip
        said = {**states, "sources": sources}
        self._store.set_states({f"{INGESTING}{self._machine}": said} if self._machine else said)
        events = self._outages.take()
        if events:
            self._store.add_events(events)

    def _shut_down(self, threads: list[threading.Thread], learning: Learning | None) -> None:
        self._stop.set()
        self._cluster_stop.set()
        deadline = time.monotonic() + STOP_S
        for thread in threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        Patience(lambda _: None).attempt(partial(self._say_goodbye, learning))  # once: what is unsaved is done again
        self._pool.close()
        if not self._clusterer.join(max(0.1, deadline - time.monotonic())):
            self._clusterer.kill()
        log.info("stopped", pictures=self._queries.last_picture_id())

    def _say_goodbye(self, learning: Learning | None) -> None:
        if learning is not None:
            learning.save()
        self._tell(self._debt(learning))

    def _debt(self, learning: Learning | None) -> dict[str, object]:
        return {} if learning is None or self._machine else {"learner_debt": round(learning.debt_views)}
