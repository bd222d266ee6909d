from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from agent import checkpoint
from agent.learner import Diverged, Learner, Observation, Step
from agent.thumbnail import encode_thumbnail
from agent.train_worker import FILL_S, TrainWorker
from storage.queries import Queries
from storage.records import EventType, LocationRecord, PictureRecord
from storage.store import Store
from tests import learners
from tests.factories import EPOCH, location, sha
from tests.pictures import FAMILIES, draw

CONFIG = learners.small_config(learner={"views_per_picture": 8.0}, publish={"drift": 1.0})


class Embedding:
    """Stands where the seeing thread is: takes versions to be built."""

    def __init__(self) -> None:
        self.built: list[tuple[int, int]] = []
        self.building = False

    def build(self, version: int, tail: nn.Module, window_N: np.ndarray[Any, Any]) -> None:
        self.built.append((version, len(window_N)))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stored(number: int) -> PictureRecord:
    return PictureRecord(
        sha256=sha(number),
        captured_at=EPOCH,
        width_px=48,
        height_px=48,
        thumbnail=encode_thumbnail(draw(FAMILIES[number % 4], number, 48)),
        innate_D=np.random.default_rng(number).normal(size=256).astype(np.float16),
        learned_D={},
        location=location(f"/in/{number}.jpg"),
    )


@pytest.fixture
def clock_s() -> Clock:
    return Clock()


@pytest.fixture
def embedding() -> Embedding:
    return Embedding()


def new_worker(store: Store, queries: Queries, embedding: Any, folder: Path, clock: Clock) -> TrainWorker:
    return TrainWorker(learners.new_learner(CONFIG), store, queries, embedding, CONFIG, folder, clock)


@pytest.fixture
def worker(store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock) -> TrainWorker:
    return new_worker(store, queries, embedding, tmp_path / "checkpoints", clock_s)


def test_an_incomplete_batch_waits_for_company_but_not_for_ever(
    worker: TrainWorker, store: Store, clock_s: Clock
) -> None:
    store.add([stored(n) for n in range(3)])
    assert not worker.step()
    assert worker.learned_through == 0
    clock_s.now += FILL_S + 1
    assert worker.step()
    assert worker.learned_through == 3


def test_the_debt_is_paid_in_views(worker: TrainWorker, store: Store, queries: Queries) -> None:
    store.add([stored(n) for n in range(64)])
    assert worker.debt_views == 64 * 8
    while worker.step():
        pass
    assert worker.debt_views == 0
    assert 0.7 * 64 * 8 <= views_spent(queries) <= 64 * 8


def test_idle_time_pays_for_training_from_memory_until_what_was_earned_is_spent(
    store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    config = CONFIG.model_copy(update={"learner": CONFIG.learner.model_copy(update={"idle_views_per_picture": 4.0})})
    worker = TrainWorker(learners.new_learner(config), store, queries, embedding, config, tmp_path, clock_s)  # type: ignore[arg-type]
    store.add([stored(n) for n in range(64)])
    while worker.learned_through < 64:
        assert worker.step()
    before = views_spent(queries)
    while worker.step():
        pass
    assert 0 < views_spent(queries) - before <= 64 * 4
    worker.save()

    store.add([stored(n) for n in range(64, 72)])
    assert worker.step()
    worker.save()
    restored = TrainWorker(learners.new_learner(config), store, queries, embedding, config, tmp_path, clock_s)  # type: ignore[arg-type]
    assert restored.restore()
    before = views_spent(queries)
    while restored.step(draining=True):
        embedding.building = True
    assert views_spent(queries) == before, "a run that is to end does not rehearse"
    while restored.step():
        pass
    assert views_spent(queries) > before


def views_spent(queries: Queries) -> int:
    with queries._engine.connect() as connection:
        return int(connection.exec_driver_sql("select coalesce(sum(views), 0) from learner_steps").scalar_one())


def test_what_was_learned_is_published_when_nothing_more_comes(
    worker: TrainWorker, store: Store, queries: Queries, embedding: Embedding, tmp_path: Path
) -> None:
    store.add([stored(n) for n in range(32)])
    while worker.step(draining=True):
        pass
    assert embedding.built == [(2, 32)]
    assert queries.building_version() == 2
    saved = checkpoint.load(tmp_path / "checkpoints" / checkpoint.version_name(2))
    assert saved.meta == {"encoder_version": 2}
    assert not worker.unpublished
    assert not worker.step(draining=True)


def test_weights_of_versions_before_the_ready_one_are_not_kept(
    worker: TrainWorker, store: Store, embedding: Embedding, tmp_path: Path
) -> None:
    for first in range(0, 32, 8):
        store.add([stored(n) for n in range(first, first + 8)])
        while worker.step(draining=True):
            pass
        if first < 24:
            store.publish_version(embedding.built[-1][0])
    assert [version for version, _ in embedding.built] == [2, 3, 4, 5]
    kept = {path.stem for path in (tmp_path / "checkpoints").glob("version-*.json")}
    assert kept == {checkpoint.version_name(4), checkpoint.version_name(5)}, "the ready one, and the one being built"


def test_what_is_learned_after_a_torn_checkpoint_is_not_lost_when_people_forget(
    worker: TrainWorker, store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    store.add([stored(n) for n in range(32)])
    worker.save()
    while worker.step():
        pass
    worker.save()
    folder = tmp_path / "checkpoints"
    for tensors in folder.glob(f"{checkpoint.learner_name(worker._learner.steps)}.*.safetensors"):
        tensors.write_bytes(b"torn")
    again = new_worker(store, queries, embedding, folder, clock_s)
    with pytest.warns(UserWarning, match="torn"):
        assert again.restore()
    assert again.step()
    store.forget([again._learner.remembered()[0]], "anna")
    again.forget_what_is_gone()
    assert again.learned_through == 8
    found = checkpoint.newest(folder, checkpoint.LEARNER)
    assert found is not None
    assert found.meta["learned_through"] == 8


def test_a_version_that_a_full_disk_cut_off_is_begun_again(
    worker: TrainWorker,
    store: Store,
    queries: Queries,
    embedding: Embedding,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def drain() -> None:
        while worker.step(draining=True):
            pass

    store.add([stored(n) for n in range(32)])
    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        drain()
    assert embedding.built == []
    monkeypatch.undo()
    drain()
    ((version, _),) = embedding.built
    assert queries.building_version() == version
    saved = checkpoint.load(tmp_path / "checkpoints" / checkpoint.version_name(version))
    assert saved.meta == {"encoder_version": version}


def test_no_other_version_is_published_meanwhile(worker: TrainWorker, store: Store, embedding: Embedding) -> None:
    embedding.building = True
    store.add([stored(n) for n in range(32)])
    while worker.step(draining=True):
        pass
    assert embedding.built == []
    assert worker.unpublished


def test_a_restart_goes_on_behind_the_checkpoint(
    worker: TrainWorker, store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    store.add([stored(n) for n in range(32)])
    while worker.step():
        pass
    worker.save()
    store.add([stored(n) for n in range(32, 48)])
    again = new_worker(store, queries, embedding, tmp_path / "checkpoints", clock_s)
    assert again.restore()
    assert again.learned_through == 32
    assert again.debt_views == 16 * 8
    while again.step():
        pass
    assert again.learned_through == 48


def test_what_people_had_forgotten_leaves_memory_and_checkpoint(
    worker: TrainWorker, store: Store, tmp_path: Path
) -> None:
    store.add([stored(n) for n in range(32)])
    while worker.step():
        pass
    worker.save()
    remembered = worker._learner.remembered()
    store.forget([remembered[0]], "anna")
    worker.step()
    assert sorted(worker._learner.remembered()) == sorted(remembered[1:])
    newest = checkpoint.newest(tmp_path / "checkpoints", checkpoint.LEARNER)
    assert newest is not None
    assert remembered[0] not in str(newest.meta)
    assert remembered[1] in str(newest.meta)


def finite(learner: Learner) -> Step:
    learner.steps += 1
    return Step(learner.steps, 0.5, 0.0, 1.0, 0.0, 0.0, 16)


def test_it_stops_between_the_updates_of_a_batch_and_owes_the_rest_after_a_restart(
    store: Store,
    queries: Queries,
    embedding: Embedding,
    tmp_path: Path,
    clock_s: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step takes a second, and somebody stops the agent in the second one of ten."""

    def one_second(learner: Learner, *_: object) -> Step:
        clock_s.now += 1
        return finite(learner)

    monkeypatch.setattr(Learner, "_launch", lambda *_: list)
    monkeypatch.setattr(Learner, "_finish", one_second)
    config = learners.small_config(learner={"views_per_picture": 20.0}, publish={"drift": 1.0})

    def started(stop: Callable[[], bool]) -> TrainWorker:
        learner: Any = learners.new_learner(config)
        return TrainWorker(learner, store, queries, embedding, config, tmp_path, clock_s, stop=stop)  # type: ignore[arg-type]

    store.add([stored(n) for n in range(16)])
    stopped = started(lambda: clock_s.now >= 2)
    assert stopped.step()
    assert clock_s.now == 2
    stopped.save()
    again = started(lambda: False)
    assert again.restore()
    assert again.learned_through == 8
    while again.step():
        pass
    # 10 updates of 16 views for the first batch, of which 8 were left; then of 32 views, for there is memory
    assert again._learner.steps == 2 + (8 * 16 + 8 * 20) // 32


def test_the_learner_is_told_when_pictures_were_taken_not_when_files_were_written(
    worker: TrainWorker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[Sequence[Observation]] = []
    observe = worker._learner.observe

    def noted(batch: Sequence[Observation], *rest: Any) -> list[Step]:
        batches.append(batch)
        return observe(batch, *rest)

    monkeypatch.setattr(worker._learner, "observe", noted)
    written_ns = round(EPOCH.timestamp() * 1e9)
    by_file = [LocationRecord(f"/in/{n}.jpg", "/in", 9, written_ns) for n in range(4)]
    by_camera = [LocationRecord(f"/data/frames/door/{n}.jpg", "door", 9, written_ns) for n in range(4, 8)]
    store.add([replace(stored(n), location=place) for n, place in enumerate(by_file + by_camera)])
    assert worker.step()
    ((*observations,),) = batches
    assert [o.taken_s for o in observations] == [None] * 4 + [EPOCH.timestamp()] * 4
    assert {o.source for o in observations[4:]} == {"door"}


def test_how_often_a_picture_came_stays_with_it_when_it_leaves_the_memory(
    store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    """A copy of the first picture comes at once, and then more pictures than there is room for."""
    config = learners.small_config(learner={"views_per_picture": 0.1}, replay={"capacity": 8, "near_duplicate": 0.98})
    worker: Any = TrainWorker(learners.new_learner(config), store, queries, embedding, config, tmp_path, clock_s)  # type: ignore[arg-type]
    store.add([stored(0), replace(stored(0), sha256=sha(100)), *(stored(n) for n in range(1, 39))])
    while worker.step():
        pass
    assert sha(0) not in worker._learner._replay
    worker.save()
    assert queries.picture(sha(0)).repeats == 1
    assert queries.picture(sha(1)).repeats == 0


def test_what_was_noticed_is_told_without_a_single_step(
    worker: TrainWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Learner, "_make_steps", lambda *_: [])
    monkeypatch.setattr(worker._learner._consolidation, "notice", lambda *_: [("shift_detected", {"novelty": 0.5})])
    store.add([stored(n) for n in range(8)])
    assert worker.step()
    assert [event.type for event in queries.history()] == [EventType.SHIFT_DETECTED]
    worker.save()
    assert worker.restore()
    worker.step()
    assert len(queries.history()) == 1, "it is told once"


def test_what_was_noticed_in_a_batch_that_diverges_is_told(
    worker: TrainWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.save()

    def diverge(*_: object) -> None:
        worker._learner.happenings.append(("shift_detected", {"novelty": 0.5}))
        raise Diverged("loss is nan")

    monkeypatch.setattr(worker._learner, "observe", diverge)
    store.add([stored(n) for n in range(8)])
    assert worker.step()
    assert [event.type for event in queries.history()] == [EventType.SHIFT_DETECTED]


def test_divergence_goes_back_to_the_checkpoint_and_then_pauses(
    worker: TrainWorker, store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.save()

    def diverge(*_: object) -> None:
        raise Diverged("loss is nan")

    monkeypatch.setattr(worker._learner, "observe", diverge)
    store.add([stored(n) for n in range(24)])
    for _ in range(3):
        assert worker.step()
    assert worker.learned_through == 24
    assert [event.type for event in queries.history()] == [EventType.PAUSED]
    assert queries.paused()


def breaking(
    store: Store, queries: Queries, embedding: Embedding, folder: Path, clock: Clock, views_per_picture: float
) -> TrainWorker:
    """Its steps are so large that one breaks the weights, and those after it are not finite."""
    config = learners.small_config(learner={"views_per_picture": views_per_picture, "lr": 1e12})
    seeing: Any = embedding
    return TrainWorker(learners.new_learner(config), store, queries, seeing, config, folder, clock)


def test_what_is_not_finite_is_neither_kept_nor_published(
    store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    worker = breaking(store, queries, embedding, tmp_path, clock_s, views_per_picture=6)
    store.add([stored(n) for n in range(8)])
    assert worker.step(draining=True)
    assert not worker._learner.sound, "a finite step, and two that are not: too few to give up"
    while worker.step(draining=True):
        pass
    worker.save()
    assert worker.learned_through == 8
    assert embedding.built == []
    assert queries.building_version() is None
    kept = checkpoint.newest(tmp_path, checkpoint.LEARNER)
    assert kept is not None
    assert all(bool(tensor.isfinite().all()) for tensor in kept.tensors.values() if tensor.is_floating_point())
    assert (kept.meta["steps"], kept.meta["learned_through"]) == (0, 8)


def test_a_learner_that_breaks_at_once_is_paused_however_few_updates_a_batch_pays_for(
    store: Store, queries: Queries, embedding: Embedding, tmp_path: Path, clock_s: Clock
) -> None:
    worker = breaking(store, queries, embedding, tmp_path, clock_s, views_per_picture=3)
    store.add([stored(n) for n in range(160)])
    while not queries.paused() and worker.learned_through < 160:
        assert worker.step()
    assert queries.paused()
    assert embedding.built == []


def test_rehearsal_that_diverges_leaves_the_cursor_where_it_was(
    worker: TrainWorker, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([stored(n) for n in range(16)])
    while worker.step():
        pass

    def diverge(*_: object) -> None:
        raise Diverged("loss is nan")

    for name in ("observe", "rehearse"):
        monkeypatch.setattr(worker._learner, name, diverge)
    store.add([stored(n) for n in range(16, 24)])
    assert worker.step()
    monkeypatch.setattr(worker, "_next_batch", lambda _: [])
    monkeypatch.setattr(TrainWorker, "_may_rehearse", True)
    assert worker.step()
    assert worker.learned_through == worker._learner.learned_through == 24


def test_what_people_had_forgotten_leaves_older_checkpoints_too(
    store: Store, queries: Queries, embedding: Any, tmp_path: Path, clock_s: Clock
) -> None:
    """Of what is remembered no more, only the checkpoint before the newest still speaks."""
    config = learners.small_config(learner={"views_per_picture": 0.1}, replay={"capacity": 8})
    worker = TrainWorker(learners.new_learner(config), store, queries, embedding, config, tmp_path, clock_s)

    def named(sha256: str) -> bool:
        return any(sha256.encode() in path.read_bytes() for path in tmp_path.glob("*.json"))

    store.add([stored(n) for n in range(40)])
    while worker.step():
        pass
    worker.save()
    early = set(worker._learner._replay.shas)
    store.add([stored(n) for n in range(40, 200)])
    while worker.step():
        pass
    worker._learner.steps += 1  # each checkpoint has the name of its step
    worker.save()
    gone = next(iter(early - set(worker._learner.remembered())))
    assert named(gone), "by the checkpoint before the newest"
    store.forget([gone], "anna")
    again = TrainWorker(learners.new_learner(config), store, queries, embedding, config, tmp_path, clock_s)
    assert again.restore()
    again.step()
    assert not named(gone)


def test_a_disk_that_is_full_before_the_first_step_is_waited_for(
    worker: TrainWorker, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store.add([stored(n) for n in range(8)])
    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space left"):
        worker.step()
    assert worker.learned_through == 0
    monkeypatch.undo()
    assert worker.step()
    assert worker.learned_through == 8
    first = checkpoint.newest(tmp_path / "checkpoints", checkpoint.LEARNER)
    assert first is not None
    assert first.meta["steps"] == 0
