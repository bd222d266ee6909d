"""Learning on what compute is left: stored pictures, in the order they were stored, through `Learner.observe`.

The worker reads pictures back from the store by a cursor (`learned_through`), so a restart is nothing special, and
pays for training in views. It knows nothing about sources or kinds.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from agent import checkpoint
from agent.config import Config
from agent.embed_worker import EmbedWorker
from agent.encoder import square
from agent.learner import Diverged, Learner, Observation, Step, never
from agent.moments import captured_s
from agent.publication import PUBLISHING, UNPUBLISHED, publication_was_cut_off
from agent.thumbnail import pixels_of
from agent.window import choose_window
from storage.queries import Queries
from storage.records import Event, EventType, StepRecord
from storage.rows import StoredPicture
from storage.store import Store

log = structlog.get_logger(__name__)

CHECKPOINT_S = 300.0
FILL_S = 2.0
"""How long an incomplete batch waits for more pictures before it is learned from as it is."""
FORGOTTEN = "forgotten_in_checkpoints"
"""State key: the last event of forgetting that the checkpoints know of."""


class TrainWorker:
    """Pays the learning debt, publishes encoder versions and keeps the learner's checkpoints.

    Used by one thread, which calls `step` until it is told to stop.

    Args:
        stop: asked between the updates of a batch, which may be many; what they cost stays owed.
    """

    def __init__(
        self,
        learner: Learner,
        store: Store,
        queries: Queries,
        embedding: EmbedWorker,
        config: Config,
        checkpoints: Path,
        clock: Callable[[], float] = time.monotonic,
        stop: Callable[[], bool] = never,
    ) -> None:
        self._learner = learner
        self._store = store
        self._queries = queries
        self._embedding = embedding
        self._config = config
        self._checkpoints = checkpoints
        self._clock = clock
        self._stop = stop
        self._owed_views = 0.0
        self._idle_views = 0.0
        self._short_since: float | None = None
        self._published_at = clock()
        self._saved_at = clock()
        self._can_go_back = False
        self._failures = 0
        self._balanced_by = 0
        noted = queries.state(FORGOTTEN)
        self._forgotten_through = noted if isinstance(noted, int) else 0
        self.unpublished: bool = learner.unpublished
        self.learned_through: int = learner.learned_through

    # ---------------------------------------------------------------- learning

    def step(self, *, draining: bool = False) -> bool:
        """Learn from the next batch; False when there is nothing to learn from now.

        Args:
            draining: nothing more will come, so an incomplete batch is complete, and what was learned is published.
        """
        self.forget_what_is_gone()
        if not self._can_go_back:
            self.save()  # here and not where it is loaded, since whoever calls this waits for a full disk
        batch = self._next_batch(draining)
        if not batch and (draining or not self._may_rehearse):
            return self._publish_if_due(draining)
        try:
            self._learn(batch) if batch else self._rehearse()
        except Diverged as error:
            self._roll_back(str(error))
        if self._clock() - self._saved_at > CHECKPOINT_S:
            self.save()
        self._publish_if_due(draining=False)
        return True

    def _next_batch(self, draining: bool) -> list[StoredPicture]:
        size = self._config.learner.stream_batch
        batch = self._queries.pictures_after(self.learned_through, size)
        if len(batch) == size or draining or not batch:
            self._short_since = None
            return batch
        if self._short_since is None:
            self._short_since = self._clock()
        if self._clock() - self._short_since < FILL_S:
            return []
        self._short_since = None
        return batch

    def forget_what_is_gone(self) -> None:
        """What people have had forgotten leaves the memory and the checkpoints."""
        last = self._queries.last_forgotten()
        if last == self._forgotten_through:
            return
        self._forgotten_through = last
        remembered = self._learner.remembered()
        gone = sorted(set(remembered) - self._queries.existing(remembered).keys())
        if gone:
            self._learner.forget(gone)
            log.info("forgotten for good", pictures=len(gone))
        self.save(keep=1)  # an older checkpoint may name what has left the memory since

    def _refresh_kinds(self) -> None:
        """After each round the replay buffer is told what belongs where, for its balance."""
        last = self._queries.last_clustering()
        if last is not None and last.id != self._balanced_by:
            self._learner.set_kinds(self._queries.kinds_of(self._learner.remembered()))
            self._balanced_by = last.id

    def _learn(self, batch: Sequence[StoredPicture]) -> None:
        self._refresh_kinds()
        observations = [self._observation(picture) for picture in batch]
        updates, cost = self._affordable_updates(len(observations)), self._learner.views_per_update(len(observations))
        self._learner.learned_through = batch[-1].id
        steps = self._learner.observe(observations, updates, self._stop)
        self._owed_views += self._learner.unmade * cost
        self.learned_through = batch[-1].id
        self.unpublished = self.unpublished or bool(steps)
        self._report(steps)
        idle = self._config.learner.idle_views_per_picture
        self._idle_views = min(self._idle_views + len(batch) * idle, self._config.learner.debt_pictures * idle)

    @property
    def _may_rehearse(self) -> bool:
        """Pictures have paid for training from memory, and nothing new is waiting to be learned from."""
        cost = self._learner.views_per_update(0)
        return 0 < cost <= self._idle_views and self._queries.count_after(self.learned_through) == 0

    def _rehearse(self) -> None:
        self._refresh_kinds()
        self._idle_views -= self._learner.views_per_update(0)
        steps = self._learner.rehearse()
        self.unpublished = self.unpublished or bool(steps)
        self._report(steps)

    def _affordable_updates(self, arrived: int) -> int:
        """Updates that the arrived pictures pay for; the rest of a view stays owed for the next batch."""
        learner = self._config.learner
        waiting = self._queries.count_after(self.learned_through)
        forgiven = min(1.0, learner.debt_pictures / max(waiting, 1))
        self._owed_views += arrived * learner.views_per_picture * forgiven
        updates = int(self._owed_views // self._learner.views_per_update(arrived))
        self._owed_views -= updates * self._learner.views_per_update(arrived)
        return updates

    def _observation(self, picture: StoredPicture) -> Observation:
        pixels_CHW = square(pixels_of(picture.thumbnail), self._learner.side_px)
        return Observation(
            picture.id,
            picture.sha256,
            pixels_CHW,
            picture.innate_D.astype(np.float32),
            source="" if picture.place is None else picture.place.source,
            taken_s=captured_s(picture),
        )

    def _report(self, steps: Sequence[Step]) -> None:
        self._store.add_steps(
            [
                StepRecord(
                    step=s.step,
                    loss=s.loss,
                    align_loss=s.align_loss,
                    grad_norm=s.grad_norm,
                    ewc_ratio=s.ewc_ratio,
                    drift=s.drift,
                    views=s.views,
                    learned_through=self.learned_through,
                )
                for s in steps
            ]
        )
        self._tell()

    def _tell(self) -> None:
        """What the learner noticed becomes events."""
        noticed = self._learner.happenings
        if noticed:
            self._store.add_events([Event(EventType(kind), detail=dict(detail)) for kind, detail in noticed])
            noticed.clear()  # not before: what could not be written is told later

    @property
    def debt_views(self) -> float:
        """Views that stored pictures have paid for and that were not spent yet."""
        waiting = min(self._queries.count_after(self.learned_through), self._config.learner.debt_pictures)
        return waiting * self._config.learner.views_per_picture

    # ---------------------------------------------------------------- publishing

    def _publish_if_due(self, draining: bool) -> bool:
        """True when a version was handed over to be built."""
        if not self.unpublished or self._embedding.building:
            return False
        waited = self._clock() - self._published_at > self._config.publish.every_s
        due = draining or waited or self._learner.drifted(self._config.publish.drift)
        if not (due and self._made_sound() and self.unpublished):
            return False
        self._publish()
        return True

    def _publish(self) -> None:
        """Number, checkpoint under that number, vectors, ready: a number never points to other weights than its own."""
        unfinished = self._queries.building_version()
        if unfinished is not None:  # a full disk cut it off
            self._store.abandon_version(unfinished)
        self._drop_retired_weights()
        drift = self._learner.drift()
        version = self._store.begin_version("", {"drift": drift, "learned_through": self.learned_through})
        teacher = copy.deepcopy(self._learner.teacher)
        checkpoint.save(
            self._checkpoints,
            checkpoint.version_name(version),
            {name: tensor.detach() for name, tensor in teacher.state_dict().items()},
            {"encoder_version": version},
        )
        self._learner.mark_published()
        self._store.set_state(PUBLISHING, version)
        self.save()
        self._embedding.build(version, teacher, self._window())
        self._published_at = self._clock()
        self.unpublished = False
        log.info("building an encoder version", version=version, drift=round(drift, 4))

    def _drop_retired_weights(self) -> None:
        """Weights of versions before the ready one go. Only when the next is begun: whoever reads which one is ready
        has all the time between two versions to load it."""
        ready = checkpoint.version_name(self._queries.ready_version())
        checkpoint.keep_only(self._checkpoints, checkpoint.VERSION, {ready})

    def _window(self) -> NDArray[np.int64]:
        ids_N, key_N = self._queries.window_keys()
        exemplars = [i for cluster in self._queries.living_clusters() for i in cluster.exemplars]
        chosen_N = choose_window(ids_N, key_N, exemplars, self._config.cluster.window)
        return np.sort(np.asarray(chosen_N, dtype=np.int64))

    # ---------------------------------------------------------------- checkpoints

    def save(self, keep: int = 2) -> None:
        """Write the learner's whole state under a temporary name, then rename; keep the last ones.

        Not of steps that were not finite: these are gone back behind first.
        """
        self.forget_what_is_gone()
        if self._learner.sound:
            self._failures = 0
        elif not self._made_sound():
            return
        self._store.note_repeats(self._learner.repeats())
        self._learner.mark_repeats_noted()
        tensors, meta = self._learner.state_dict()
        meta = {**meta, "learned_through": self.learned_through, "owed_views": self._owed_views}
        meta["idle_views"] = self._idle_views
        name = checkpoint.learner_name(self._learner.steps)
        checkpoint.save(self._checkpoints, name, tensors, meta)
        checkpoint.prune(self._checkpoints, checkpoint.LEARNER, keep=keep, last=name)
        self._store.set_states(
            {
                "learned_through": self.learned_through,
                UNPUBLISHED: self._learner.unpublished,
                FORGOTTEN: self._forgotten_through,
            }
        )
        self._saved_at, self._can_go_back = self._clock(), True

    def restore(self) -> bool:
        """Go on from the newest whole checkpoint, or back to it; False when there is none.

        Raises:
            EncoderError: it is of another network.
        """
        found = checkpoint.newest(self._checkpoints, checkpoint.LEARNER)
        if found is None:
            return False
        if not self._learner.load_state_dict(found.tensors, found.meta, self._observations_by_sha):
            log.warning("learner.objective or learner.head_dims has changed: the encoder goes on, its heads start anew")
        self.learned_through = int(found.meta["learned_through"])
        self._learner.learned_through = self.learned_through
        self._owed_views = float(found.meta["owed_views"])
        self._idle_views = float(found.meta.get("idle_views", 0.0))
        self.unpublished = self._learner.unpublished or publication_was_cut_off(self._queries)
        self._can_go_back = True
        return True

    def _observations_by_sha(self, shas: Sequence[str]) -> list[Observation]:
        return [self._observation(picture) for picture in self._queries.pictures_by_sha(shas)]

    def _made_sound(self) -> bool:
        """False where the learner is not, and no checkpoint is either."""
        if not self._learner.sound:
            self._roll_back("the last step was not finite")
        return self._learner.sound

    def _roll_back(self, why: str) -> None:
        """Back to the last checkpoint, and past the batches in between: pause at the third time without a save."""
        self._tell()
        self._failures += 1
        through = max(self.learned_through, self._learner.learned_through)
        log.error("learning diverged, going back to the last checkpoint", why=why)
        if not self.restore() or self._failures >= 3:
            self._store.add_events([Event(EventType.PAUSED, detail={"reason": f"learning diverged: {why}"})])
        self.learned_through = self._learner.learned_through = through
