"""Online self-supervised learning: `Learner.observe` takes pictures of the stream and makes gradient steps of them.

SimCLR or another objective over the stream and a replay buffer, alignment of the replayed part to a teacher (CLA,
Cignoni et al. 2025), EWC. It does no I/O, and knows nothing of stores, version numbers or clusters. Shapes: N
pictures, 2N views (the first views of all, then the second views of all), D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from agent.augment import augment, whole_view
from agent.config import Config
from agent.consolidation import Consolidation, Happening
from agent.device import HOST, autocast, host_values, send_home, upload
from agent.encoder import TAIL_PIXELS_AT_ONCE, Encoder, in_parts, training_px
from agent.objective import alignment, near_copies, one_burst
from agent.parts import join, part
from agent.probes import Probes
from agent.replay import Observation, Pictures, Recall, Replay
from agent.student import Student

__all__ = ["Diverged", "Learner", "Observation", "Step", "never"]

MEASURE_EVERY = 20
"""Steps between measurements of drift and of EWC's share, which cost more than the numbers of each step."""

LOOK_EVERY = 5
"""Steps between looks at whether it has drifted far enough: one costs a sixth of a step, and drift comes slowly."""

FISHER_GROUP = 8
"""Pictures that one pass backward serves in an estimate of the Fisher information."""

BAD_STEPS = 3
FEWEST_PROBES = 8


class Diverged(Exception):
    """Several steps in a row were not finite: the caller goes back to the last checkpoint."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one gradient step measured.

    Attributes:
        ewc_ratio: EWC's pull as a share of the student's movement; like `drift`, as last measured.
        views: augmented pictures that it cost.
    """

    step: int
    loss: float
    align_loss: float
    grad_norm: float
    ewc_ratio: float
    drift: float
    views: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a step needs of N pictures and can be had before the one before it has ended; on the device.

    Attributes:
        features: 2N views, as the trunk sees them.
        never_negative_NN: as of `Learner._never_negative`.
        replayed_R: rows of `features` that are not of the stream.
    """

    features: Tensor
    never_negative_NN: Tensor
    replayed_R: Tensor


def never() -> bool:
    """Nobody stops it."""
    return False


class Learner:
    """A student that learns, and a teacher that follows it slowly and is what others see. Used by one thread.

    Attributes:
        side_px: side of the squares that observations carry.
        learned_through: id of the last picture observed.
        unpublished: the teacher has moved since `mark_published`.
        steps: gradient steps made in all.
        unmade: updates of the last call that were not made because it was stopped.
        happenings: type and detail of what was noticed; whoever has taken note of it clears the list.
    """

    def __init__(self, config: Config, encoder: Encoder, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._trunk = encoder.trunk
        self._image_px = encoder.image_px
        self._at_once = TAIL_PIXELS_AT_ONCE // encoder.image_px**2
        self.side_px = training_px(encoder.image_px)
        self._student = Student(config.learner, encoder, config.seed, device)
        self._replay = Replay(config.replay, self.side_px, encoder.dim, Generator(HOST).manual_seed(config.seed))
        self._chance = Generator(HOST).manual_seed(config.seed + 1)
        self._consolidation = Consolidation(config.ewc, encoder.tail)
        self._probes = Probes(encoder.new_tail().requires_grad_(False))
        self._bad_steps = 0
        self._drift = 0.0
        self._drift_after: int | None = None
        self._ewc_ratio = 0.0
        self.steps = 0
        self.learned_through = 0
        self.unpublished = False
        self.unmade = 0
        self.happenings: list[Happening] = []

    @property
    def teacher(self) -> nn.Module:
        """The tail of the encoder as it has been learned; it goes on changing, so copy it to keep it."""
        return self._student.teacher

    # ---------------------------------------------------------------- learning

    def observe(self, batch: Sequence[Observation], updates: int, stop: Callable[[], bool] = never) -> list[Step]:
        """Learns from new pictures, mixed with replayed ones.

        Args:
            batch: pictures of the stream, in order. Near duplicates of what is remembered are only counted, and
                updates shrink by their share.
            updates: gradient steps that the batch pays for.
            stop: asked before each of them; once true, no more are made, and `unmade` says how many are left.

        Raises:
            Diverged: three steps in a row were not finite.
        """
        if not batch:
            return []
        fresh, novelty_N = self._replay.admit(batch)
        enough = len(self._replay) >= min(self._config.ewc.fisher_samples, self._replay.capacity)
        losses_of = self._losses_of_samples if enough else None
        self.happenings += self._consolidation.notice(novelty_N, self.teacher, losses_of)
        steps = self._make_steps(self._replay.collect(fresh), math.ceil(updates * len(fresh) / len(batch)), stop)
        self._replay.add(fresh)
        self._draw_probes()
        self.learned_through = max(self.learned_through, batch[-1].picture_id)
        return steps

    def rehearse(self, updates: int = 1) -> list[Step]:
        """Learns from replayed pictures alone.

        Raises:
            Diverged: three steps in a row were not finite.
        """
        return self._make_steps(self._replay.collect([]), updates, never)

    def _make_steps(self, stream: Pictures, updates: int, stop: Callable[[], bool]) -> list[Step]:
        steps: list[Step | None] = []
        batch = self._batch(stream) if updates > 0 else None
        self.unmade = updates if batch is not None else 0
        while batch is not None and not stop():
            losses = self._launch(batch)
            # The trunk stays as it is, so the next batch goes through it while this one's numbers are on their way.
            coming = self._batch(stream) if self.unmade > 1 else None
            steps.append(self._finish(losses(), len(batch.features)))
            self.unmade -= 1
            batch = coming
        return [step for step in steps if step is not None]

    def _batch(self, stream: Pictures) -> _Batch | None:
        """Pictures of the stream and replayed ones; None where there is nothing to tell apart."""
        parts = stream, self._replay.sample(self._config.learner.replay_batch)
        pictures = sum(map(len, parts))
        if pictures < 2:
            return None
        pixels_NCHW = torch.cat([upload(part.pixels_NCHW, self._device) for part in parts])
        return _Batch(
            self._trunk_of_views(pixels_NCHW),
            self._never_negative(*parts),
            _rows_of_both_views(len(stream), pictures, self._device),
        )

    def _launch(self, batch: _Batch) -> Callable[[], list[float]]:
        """Forward and backward; what is returned waits for the loss, its aligned part, and the gradient's norm."""
        with autocast(self._device):
            student_2ND = in_parts(self._student.tail, batch.features, self._at_once)
            teacher_2ND, teacher_RD = self._teacher_of(batch.features, batch.replayed_R)
            contrast = self._student.objective(student_2ND, teacher_2ND, batch.never_negative_NN)
            aligned = None if teacher_RD is None else alignment(student_2ND[batch.replayed_R], teacher_RD)
        align = contrast.new_zeros(()) if aligned is None else aligned
        return send_home([contrast, align, self._student.descend(contrast + self._config.learner.align * align)])

    def _finish(self, losses: Sequence[float], views: int) -> Step | None:
        """Optimizer's step, and the teacher follows; None where the numbers are not finite, and nothing moves."""
        if not self._is_finite(*losses):
            return None
        self._advance()
        contrast, align, norm = losses
        return Step(self.steps, contrast, align, norm, self._ewc_ratio, self._drift, views)

    def _never_negative(self, *parts: Pictures) -> Tensor:
        """`(N, N)` bool: pairs that show the same thing, by what the born network sees or by when they were taken."""
        settings = self._config.learner
        taken_N, source_N = torch.cat([p.taken_N for p in parts]), torch.cat([p.source_N for p in parts])
        burst_NN = one_burst(taken_N, source_N, settings.burst_s)
        innate_ND = upload(torch.cat([p.innate_ND for p in parts]), self._device)
        return near_copies(innate_ND, settings.near_copy) | upload(burst_NN, self._device)

    def _trunk_of_views(self, pixels_NCHW: Tensor) -> Tensor:
        """Two random views of each picture as the trunk sees them, which student and teacher share."""
        twice = pixels_NCHW.repeat(2, 1, 1, 1)
        return self._trunk_of(augment(twice, self._config.augment, self._image_px, self._chance))

    def _trunk_of(self, x_BCHW: Tensor) -> Tensor:
        with torch.no_grad(), autocast(self._device):
            features: Tensor = self._trunk(x_BCHW)
        return features

    def _teacher_of(self, features: Tensor, replayed_R: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The teacher's embeddings of all views, if the objective wants them, and of replayed ones, for alignment."""
        aligned = len(replayed_R) > 0 and self._config.learner.align > 0
        with torch.no_grad():
            if self._student.objective.sees_teacher:
                teacher_2ND = in_parts(self.teacher, features, self._at_once)
                return teacher_2ND, teacher_2ND[replayed_R] if aligned else None
            return None, in_parts(self.teacher, features[replayed_R], self._at_once) if aligned else None

    def _is_finite(self, *values: float) -> bool:
        if all(math.isfinite(value) for value in values):
            self._bad_steps = 0
            return True
        self._bad_steps += 1
        if self._bad_steps >= BAD_STEPS:
            raise Diverged(f"loss or gradient was not finite {BAD_STEPS} times in a row, after step {self.steps}")
        return False

    def _advance(self) -> None:
        protects = self._config.ewc.strength > 0 and self._consolidation.ewc.anchored
        ewc = self._consolidation.ewc if protects else None
        measured = self.steps % MEASURE_EVERY == 0
        if measured:
            self._ewc_ratio = self._student.advance_measured(self.steps, ewc)
        else:
            self._student.advance(self.steps, ewc)
        self.steps += 1
        self.unpublished = True
        if measured:
            self.drift()

    def _losses_of_samples(self, model: nn.Module) -> Iterator[Tensor]:
        """The objective of replayed pictures, some at a time, against targets that stay fixed (for EWC's Fisher)."""
        objective = self._student.objective
        pictures = self._replay.sample(self._config.ewc.fisher_samples)
        features = self._trunk_of_views(upload(pictures.pixels_NCHW, self._device))
        never_negative_NN = self._never_negative(pictures)
        with torch.no_grad(), autocast(self._device):
            targets_2NP = objective.targets(model(features))
        views = features.view(2, len(pictures), *features.shape[1:])
        for start in range(0, len(pictures), FISHER_GROUP):
            group = slice(start, start + FISHER_GROUP)
            with autocast(self._device):
                student_2BD = model(views[:, group].flatten(0, 1))
                losses_B = objective.of_each(student_2BD, targets_2NP, group, never_negative_NN)
            yield losses_B

    # ---------------------------------------------------------------- what others ask

    def views_per_update(self, arrived: int) -> int:
        """Views that one step costs when `arrived` pictures of the stream are in it."""
        return 2 * (arrived + min(self._config.learner.replay_batch, len(self._replay)))

    def remembered(self) -> list[str]:
        """sha256 of all pictures that it holds: those in the replay buffer, and the probes."""
        return list(dict.fromkeys([*self._replay.shas, *self._probes.shas]))

    def set_kinds(self, kind_of: Mapping[str, int]) -> None:
        """sha256 -> cluster, as the last clustering has it; the replay buffer keeps a balance between them."""
        self._replay.balance_by(kind_of)

    def repeats(self) -> dict[str, int]:
        """sha256 -> near duplicates of it that were turned away: of what is remembered, and of what has left since
        `mark_repeats_noted`."""
        return {**self._replay.left, **self._replay.repeats}

    def mark_repeats_noted(self) -> None:
        """Somebody has written down how often pictures came that are no longer remembered."""
        self._replay.left.clear()

    def forget(self, shas: Sequence[str]) -> None:
        """Removes pictures from memory for good."""
        self._replay.forget(shas)
        self._draw_probes(anew=True)

    def drift(self) -> float:
        """1 - mean cosine between the teacher and its last published state, on the probe pictures.

        Asked again before the next step it costs nothing.
        """
        if self._drift_after != self.steps:
            drift = self._probes.drift_of(self.teacher)
            if drift is not None:
                (self._drift,) = host_values([drift])
            self._drift_after = self.steps
        return self._drift

    def drifted(self, beyond: float) -> bool:
        """Whether drift was larger than that when it was last measured, LOOK_EVERY steps ago at most."""
        if self._drift_after is None or self.steps - self._drift_after >= LOOK_EVERY:
            self.drift()
        return self._drift > beyond

    @property
    def sound(self) -> bool:
        """The last step was finite, and so is what the teacher makes of the probes: it may be kept and published."""
        return self._bad_steps == 0 and math.isfinite(self.drift())

    def mark_published(self) -> None:
        """The teacher, as it is now, has become an encoder version; drift starts from here, on new probes."""
        self._probes.publish(self.teacher)
        self._draw_probes(anew=True)
        self._drift = 0.0
        self.unpublished = False

    def _draw_probes(self, *, anew: bool = False) -> None:
        """Probe pictures are those first remembered; more of them while there are fewer than configured."""
        wanted = min(self._config.publish.probes, len(self._replay))
        grown = len(self._probes) < self._config.publish.probes and wanted >= max(FEWEST_PROBES, 2 * len(self._probes))
        if anew or grown:
            self._set_probes(self._replay.sample(wanted))

    def _set_probes(self, pictures: Pictures) -> None:
        pixels = upload(pictures.pixels_NCHW, self._device)
        self._probes.set_pictures(pictures.shas, self._trunk_of(whole_view(pixels, self._image_px)))
        self._drift_after = None

    # ---------------------------------------------------------------- state

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything the next step depends on: tensors, and JSON values. Pictures are named by sha256."""
        replay, replay_meta = self._replay.state_dict()
        consolidation, consolidation_meta = self._consolidation.state_dict()
        tensors = {
            "student": self._student.state_dict(),
            "published": self._probes.published.state_dict(),
            "consolidation": consolidation,
            "replay": replay,
            "chance": {"state": self._chance.get_state()},
        }
        meta = {
            "objective": self._config.learner.objective,
            "steps": self.steps,
            "learned_through": self.learned_through,
            "unpublished": self.unpublished,
            "drift": self._drift,
            "ewc_ratio": self._ewc_ratio,
            "probes": self._probes.shas,
            "replay": replay_meta,
            "consolidation": consolidation_meta,
            "happenings": list(self.happenings),
        }
        return join(tensors), meta

    def load_state_dict(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], recall: Recall) -> bool:
        """Goes on from `state_dict`; False where the objective's heads are new, because it was another, or of another
        size.

        Args:
            recall: gives pictures back by sha256; those that are gone are left out of memory.

        Raises:
            EncoderError: it is of another network.
        """
        heads_go_on = self._student.load_state_dict(part(tensors, "student"))
        self._probes.published.load_state_dict(part(tensors, "published"))
        self._consolidation.load_state_dict(part(tensors, "consolidation"), meta["consolidation"])
        self._replay.load_state_dict(part(tensors, "replay"), meta["replay"], recall)
        self._chance.set_state(part(tensors, "chance")["state"])
        self._set_probes(self._replay.collect(sorted(recall(meta["probes"]), key=lambda o: o.sha256)))
        self.steps, self.learned_through = meta["steps"], meta["learned_through"]
        self.unpublished, self._bad_steps = meta["unpublished"], 0
        self.happenings = [(kind, detail) for kind, detail in meta.get("happenings", [])]
        self._drift, self._ewc_ratio = meta["drift"], meta["ewc_ratio"]
        return heads_go_on


def _rows_of_both_views(first: int, pictures: int, device: torch.device) -> Tensor:
    """Rows of both views of the pictures from `first` on, which are the replayed ones."""
    return torch.arange(2 * pictures, device=device).view(2, pictures)[:, first:].flatten()
