"""One arm on one stream: pictures arrive, the learner learns as the agent's does, and is examined after each stage.

It takes the place of store and workers: publication by drift, rounds by count, training paid for in views.
"""

from __future__ import annotations

import copy
import io
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor, nn

from agent.augment import augment, whole_view
from agent.config import AugmentConfig, Config
from agent.device import HOST, autocast, upload
from agent.drift import drift_between
from agent.encoder import Encoder, square, training_px
from agent.learner import Step
from agent.replay import Observation
from benchmarks.arms import Arm, learner_of
from benchmarks.baselines import dbscan, k_means_by_silhouette, reduced
from benchmarks.datasets import LabelledPicture
from benchmarks.discovery import Discovery, kinds_at_once
from benchmarks.metrics import UNASSIGNED, Agreement, agreement
from benchmarks.representation import effective_rank, knn_hits, probe_accuracy, side_by_side
from benchmarks.streams import Stage

from avalanche.evaluation.metrics import Forgetting  # isort: skip

SEEN_BATCH = 64
THREAD_BATCH = 16
"""Pictures embedded at a time by each thread of a host: what is made of them fits its caches. The small network is 1.5
times as fast so as with 64 by all threads together."""
FRAME = AugmentConfig(
    crop_min=0.85, aspect=1.05, flip=0, rotate_deg=3, jitter=1, brightness=0.1, contrast=0.1, saturation=0, hue=0,
    grey=0, blur=0,
)  # fmt: skip
"""How frames of one track differ."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures as the learner takes them, with what only the benchmark knows.

    Attributes:
        pixels_NCHW: uint8, at training resolution.
        features: what the frozen trunk makes of the whole pictures; `(N, ...)`.
        innate_ND: float32.
        label_N: class numbers from 0.
    """

    pixels_NCHW: Tensor
    features: Tensor
    innate_ND: NDArray[np.float32]
    label_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label_N)

    def as_they_come(self, stages: Sequence[Stage]) -> tuple[Labelled, list[Stage]]:
        """What arrives, in order of arrival, and the stages of that: so that numbers tell of time, as ids do."""
        row_N = np.concatenate([stage.arrivals_N for stage in stages])
        ends = np.cumsum([len(stage.arrivals_N) for stage in stages])
        arrivals = np.split(np.arange(len(row_N)), ends[:-1])
        came = Labelled(self.pixels_NCHW[row_N], self.features[row_N], self.innate_ND[row_N], self.label_N[row_N])
        return came, [replace(stage, arrivals_N=part) for stage, part in zip(stages, arrivals, strict=True)]


@torch.inference_mode()
def labelled(pictures: Sequence[LabelledPicture], encoder: Encoder, device: torch.device, frames: int) -> Labelled:
    """Decodes and sees each picture once; as `frames` frames of a track where there are more than one."""
    names = sorted({picture.label for picture in pictures})
    side_px = training_px(encoder.image_px)
    stills = torch.stack([square(_decoded(picture.data), side_px) for picture in pictures])
    chance = Generator(HOST).manual_seed(0)
    tracks = [(255 * augment(stills, FRAME, side_px, chance)).byte() for _ in range(frames - 1)]
    pixels = torch.stack([stills, *tracks], dim=1).flatten(0, 1).contiguous()
    features = torch.cat(
        [encoder.trunk(whole_view(upload(part, device), encoder.image_px)) for part in torch.split(pixels, SEEN_BATCH)]
    )
    label_N = np.repeat([names.index(picture.label) for picture in pictures], frames)
    return Labelled(pixels, features, embedded(encoder.tail, features), label_N.astype(np.int64))


def _decoded(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def embedded(tail: nn.Module, features: Tensor) -> NDArray[np.float32]:
    """`(N, D)`."""
    threads = torch.get_num_threads()
    hands, batch = (threads, THREAD_BATCH) if features.device == HOST else (1, SEEN_BATCH)

    @torch.inference_mode()
    def vectors_of(part: Tensor) -> Tensor:
        torch.set_num_threads(1)  # of each of the pool's, which share the pictures and not the work on each
        with autocast(part.device):
            vectors: Tensor = tail(part.contiguous(memory_format=torch.channels_last)).float().cpu()
        return vectors

    with ThreadPoolExecutor(hands) as pool:
        vectors: NDArray[np.float32] = torch.cat(list(pool.map(vectors_of, torch.split(features, batch)))).numpy()
    torch.set_num_threads(threads)
    return vectors


class Trial:
    """One arm on one stream: learns, publishes and clusters as the agent does, and is examined after each stage."""

    def __init__(self, arm: Arm, config: Config, stream: Labelled, held_out: Labelled, encoder: Encoder) -> None:
        self._arm = arm
        self._config = config
        self._stream = stream
        self._held_out = held_out
        self._device = next(encoder.parameters()).device
        self._born = encoder.new_tail()
        self._learner = learner_of(arm, config, encoder, self._device)
        self._published: nn.Module | None = None
        self._version = 1
        self._owed_views = 0.0
        self._views = 0
        self._arrived: list[int] = []
        self._happenings: list[dict[str, Any]] = []
        self._discovery = Discovery(config.cluster, stream.label_N, config.seed)
        self._clustered = 0
        self._kind_of: dict[str, int] = {}
        self._key_N = np.random.default_rng(config.seed).random(len(stream))
        self._forgetting = Forgetting()
        self._last = stream.innate_ND, held_out.innate_ND
        self.stages: list[dict[str, Any]] = []

    def through(self, stages: Sequence[Stage]) -> dict[str, Any]:
        """The whole stream, and what came of it."""
        started = time.monotonic()
        learning_s = 0.0
        for stage in stages:
            began = time.monotonic()
            self._learn(stage)
            learning_s += time.monotonic() - began
            self.stages.append(self._examined(stage))
        return {
            "stages": self.stages,
            "happenings": self._happenings,
            "final": self._final(),
            "views": self._views,
            "learning_s": round(learning_s, 1),
            "seconds": round(time.monotonic() - started, 1),
        }

    # ---------------------------------------------------------------- as the agent does

    def _learn(self, stage: Stage) -> None:
        size = self._config.learner.stream_batch
        for start in range(0, len(stage.arrivals_N), size):
            batch = stage.arrivals_N[start : start + size].tolist()
            self._arrived += batch
            if self._config.learner.views_per_picture > 0:
                self._observe(batch)
            if len(self._arrived) - self._clustered >= self._config.cluster.every:
                self._round()
        self._rehearse(len(stage.arrivals_N) * self._config.learner.idle_views_per_picture)

    def _rehearse(self, views: float) -> None:
        """The stream is idle between stages."""
        while views >= self._learner.views_per_update(0) > 0:
            views -= self._learner.views_per_update(0)
            self._take_in(self._learner.rehearse())

    def _observe(self, batch: Sequence[int]) -> None:
        learner = self._learner
        self._owed_views += len(batch) * self._config.learner.views_per_picture
        updates = int(self._owed_views // learner.views_per_update(len(batch)))
        self._owed_views -= updates * learner.views_per_update(len(batch))
        self._take_in(learner.observe([self._observation(i) for i in batch], updates))

    def _take_in(self, steps: Sequence[Step]) -> None:
        """What steps cost and noticed; a new version where they have moved the teacher far enough."""
        self._views += sum(step.views for step in steps)
        self._happenings += [{"arrived": len(self._arrived), "type": kind} for kind, _ in self._learner.happenings]
        self._learner.happenings.clear()
        if self._learner.drifted(self._config.publish.drift):
            self._publish()

    def _observation(self, index: int) -> Observation:
        return Observation(index + 1, sha_of(index), self._stream.pixels_NCHW[index], self._stream.innate_ND[index])

    def _publish(self) -> None:
        self._published = copy.deepcopy(self._learner.teacher)
        self._version += 1
        self._happenings.append({"arrived": len(self._arrived), "type": "encoder_published"})
        self._learner.mark_published()

    def _round(self, *, idle: bool = False) -> Agreement:
        window_N = self._window()
        innate_ND, learned_ND = self._seen_by(self._published, window_N)
        arrived_M = np.array(self._arrived, dtype=np.int64)
        found = self._discovery.round(window_N, innate_ND, learned_ND, self._version, idle=idle, arrived_M=arrived_M)
        self._clustered = len(self._arrived)
        self._tell_kinds()
        return found

    def _tell_kinds(self) -> None:
        """The memory keeps a balance between kinds; pictures that left the window stay in theirs."""
        now = self._discovery.assignments
        for picture, cluster in zip(now.picture_N.tolist(), now.cluster_N.tolist(), strict=True):
            self._kind_of[sha_of(picture - 1)] = cluster
        if not self._arm.unbalanced:
            self._learner.set_kinds({sha: kind for sha, kind in self._kind_of.items() if kind != UNASSIGNED})

    def _glance(self, learned_ND: NDArray[np.float32]) -> Agreement:
        """The kinds that would be found if what has been learned were published now and nothing more arrived.

        Args:
            learned_ND: the stream as the teacher sees it, which is also what is published where nothing is unpublished.
        """
        unpublished = self._learner.unpublished
        window_N = self._window()
        seen_ND = learned_ND[window_N] if unpublished or self._published is not None else None
        return self._discovery.glance(window_N, self._stream.innate_ND[window_N], seen_ND, self._version + unpublished)

    def _seen_by(
        self, tail: nn.Module | None, window_N: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Innate and learned embeddings of some of the stream; none are learned before the first publication."""
        learned_ND = None if tail is None else embedded(tail, self._stream.features[window_N])
        return self._stream.innate_ND[window_N], learned_ND

    def _window(self) -> NDArray[np.int64]:
        """What has arrived, in order; of more than the window holds a uniform sample that changes little by little."""
        arrived_N = np.array(self._arrived, dtype=np.int64)
        kept = np.sort(self._key_N[arrived_N].argsort()[: self._config.cluster.window])
        window_N: NDArray[np.int64] = arrived_N[kept]
        return window_N

    # ---------------------------------------------------------------- examination

    def _examined(self, stage: Stage) -> dict[str, Any]:
        """After a stage: accuracy over all classes, those to come included, and how far the old ones have drifted."""
        before_ND = self._last[1]
        train_ND, test_ND = self._last = self._embedded(self._learner.teacher)
        seen_ND, unseen_ND = self._beside_innate(train_ND, test_ND)
        label_N, held_out_N = self._stream.label_N, self._held_out.label_N
        hits = knn_hits(seen_ND, label_N, unseen_ND, held_out_N)
        for label in range(int(held_out_N.max()) + 1):
            accuracy = float(hits[held_out_N == label].mean())
            self._forgetting.update(label, accuracy, initial=label in stage.fresh)
        old = np.isin(held_out_N, list(stage.classes - stage.fresh))
        fresh = np.isin(held_out_N, list(stage.fresh))
        return {
            "arrived": len(self._arrived),
            "knn": float(hits.mean()),
            "knn_fresh": float(hits[fresh].mean()) if fresh.any() else None,
            "probe": probe_accuracy(seen_ND, label_N, unseen_ND, held_out_N),
            "forgetting": self._forgotten(),
            "effective_rank": effective_rank(train_ND),
            "drift_old": drift(before_ND[old], test_ND[old]) if old.sum() > 1 else None,
            "drift_from_birth": drift(self._held_out.innate_ND, test_ND),
            "kinds": asdict(self._glance(train_ND)),
        }

    def _forgotten(self) -> float:
        """20-NN accuracy lost since a class had just arrived, mean over the classes that came before the last."""
        lost = list(self._forgetting.result().values())
        return float(np.mean(lost)) if lost else 0.0

    def _embedded(self, tail: nn.Module) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The stream's pictures and those held out."""
        return embedded(tail, self._stream.features), embedded(tail, self._held_out.features)

    def _beside_innate(
        self, train_ND: NDArray[np.float32], test_ND: NDArray[np.float32]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        innate_ND = np.concatenate([self._stream.innate_ND, self._held_out.innate_ND])
        learned_ND = np.concatenate([train_ND, test_ND])
        seen = np.arange(len(innate_ND)) < len(self._stream)
        joined_ND = side_by_side(innate_ND, learned_ND, self._config.cluster.innate_weight, seen)
        return joined_ND[seen], joined_ND[~seen]

    def _final(self) -> dict[str, Any]:
        if self._learner.unpublished:
            self._publish()
        kinds = self._round(idle=True)
        window_N = self._window()
        truth = [str(label) for label in self._stream.label_N[window_N]]
        side_ND, _ = self._beside_innate(*self._last)
        mine_ND = reduced(side_ND[window_N], self._config.seed)
        drifts = [stage["drift_old"] for stage in self.stages if stage["drift_old"] is not None]
        return {
            "kinds": asdict(kinds),
            "representations": self._representations(),
            "effective_rank": self.stages[-1]["effective_rank"],
            "forgetting": self._forgotten(),
            "forgetting_mean": float(np.mean([stage["forgetting"] for stage in self.stages[1:] or self.stages])),
            "forgetting_of": {str(label): value for label, value in self._forgetting.result().items()},
            "drift_old_per_1000": 1000 * float(np.sum(drifts)) / len(self._arrived) if drifts else 0.0,
            "ids_kept": float(np.mean(self._discovery.kept)) if self._discovery.kept else None,
            "delay": told_delay(self._discovery.delay_of, len(set(self._stream.label_N[self._arrived].tolist()))),
            "k_means_silhouette": asdict(agreement(truth, k_means_by_silhouette(mine_ND, self._config.seed).tolist())),
            "dbscan": asdict(agreement(truth, dbscan(mine_ND).tolist())),
        }

    def _representations(self) -> dict[str, dict[str, float]]:
        """Of the weights as learned, and of those halfway back to birth (WiSE-FT, Wortsman et al. 2022)."""
        if self._learner.steps == 0:
            return dict.fromkeys(("learned", "wise"), self._represented(*self._last))
        last = self.stages[-1]
        learned = self._represented(*self._last, side=(last["knn"], last["probe"]))
        if self._config.encoder.weights == "none":  # what it was born with is chance
            return {"learned": learned}
        halfway = copy.deepcopy(self._born)
        with torch.no_grad():
            torch._foreach_lerp_([*halfway.parameters()], [*self._learner.teacher.parameters()], 0.5)
        return {"learned": learned, "wise": self._represented(*self._embedded(halfway))}

    def _represented(
        self, train_ND: NDArray[np.float32], test_ND: NDArray[np.float32], side: tuple[float, float] | None = None
    ) -> dict[str, float]:
        """Accuracy of one set of weights, alone and beside the innate embedding, and the kinds that one round finds.

        Args:
            side: accuracies beside the innate embedding, where they are known.
        """
        innate_ND, label_N, seed = self._stream.innate_ND, self._stream.label_N, self._config.seed
        alone = self._accuracies(train_ND - train_ND.mean(axis=0), test_ND - train_ND.mean(axis=0))
        found = dict(zip(("knn_alone", "probe_alone"), alone, strict=True))
        side = side or self._accuracies(*self._beside_innate(train_ND, test_ND))
        found |= zip(("knn_side", "probe_side"), side, strict=True)
        seen_N = self._window()
        label_N, innate_ND, learned_ND = label_N[seen_N], innate_ND[seen_N], train_ND[seen_N]
        found["nmi_alone"] = kinds_at_once(self._config.cluster, label_N, learned_ND, None, seed).nmi
        found["nmi_side"] = kinds_at_once(self._config.cluster, label_N, innate_ND, learned_ND, seed).nmi
        return found

    def _accuracies(self, seen_ND: NDArray[np.floating], unseen_ND: NDArray[np.floating]) -> tuple[float, float]:
        """Of the nearest neighbours and of a linear probe."""
        label_N, held_out_N = self._stream.label_N, self._held_out.label_N
        hits = knn_hits(seen_ND, label_N, unseen_ND, held_out_N)
        return float(hits.mean()), probe_accuracy(seen_ND, label_N, unseen_ND, held_out_N)


def drift(before_ND: NDArray[np.float32], after_ND: NDArray[np.float32]) -> float:
    """As the agent measures it."""
    return float(drift_between(torch.from_numpy(before_ND), torch.from_numpy(after_ND)))


def sha_of(index: int) -> str:
    """What stands for the content hash of a picture of the set."""
    return f"{index:064x}"


def told_delay(delay_of: Mapping[int, int], classes: int) -> dict[str, Any]:
    """How many of the classes were discovered, after how many pictures of each, and the median over those."""
    median = float(np.median(list(delay_of.values()))) if delay_of else None
    of = {str(label): delay for label, delay in sorted(delay_of.items())}
    return {"discovered": len(delay_of), "classes": classes, "median": median, "of": of}
