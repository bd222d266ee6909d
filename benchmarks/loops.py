"""Ways to train that `benchmarks.learning` compares: the agent's, a plain loop, and lightly's; and what they train on.

It measures nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from agent.augment import augment
from agent.config import Config
from agent.device import HOST, autocast, has_fused_adamw, upload
from agent.encoder import Encoder, training_px
from agent.learner import MEASURE_EVERY, Learner
from agent.replay import Observation

DISTINCT = 256
"""Different pictures that are made; they come again under new names and with other innate vectors."""


class Loop(Protocol):
    """A way to train."""

    def prepare(self) -> None:
        """What comes before a block of steps and is not timed."""

    def __call__(self, steps: int) -> None:
        """Makes so many gradient steps."""


class Stream:
    """Pictures without end: blobs of colour, each with a random innate vector, so that none is a near duplicate."""

    def __init__(self, side_px: int, dim: int) -> None:
        chance = Generator(HOST).manual_seed(0)
        blobs = torch.rand(DISTINCT, 3, 7, 7, generator=chance, device=HOST)
        large = F.interpolate(blobs, (side_px, side_px), mode="bicubic").clamp(0, 1)
        self.pixels_NCHW = (255 * large).to(torch.uint8)
        self._dim = dim
        self._chance = np.random.default_rng(0)
        self._seen = 0

    def next(self, count: int) -> list[Observation]:
        return [self._one() for _ in range(count)]

    def _one(self) -> Observation:
        self._seen += 1
        sha256 = hashlib.sha256(str(self._seen).encode()).hexdigest()
        innate_D = self._chance.normal(size=self._dim).astype(np.float32)
        return Observation(self._seen, sha256, self.pixels_NCHW[self._seen % DISTINCT], innate_D)


class Ours:
    """`Learner.observe` with a full memory and an anchor: one batch of the stream pays for all steps of a block.

    Attributes:
        measured: the last block held one of the steps that also measure drift.
    """

    def __init__(self, config: Config, encoder: Encoder, device: torch.device, *, compiled: bool, threads: int) -> None:
        self.learner = Learner(config, encoder, device)
        if compiled:
            self.learner._student.tail.compile()
            self.learner.teacher.compile()
        self._batch = config.learner.stream_batch
        self._threads = threads
        self._stream = Stream(training_px(encoder.image_px), encoder.dim)
        for _ in range(-(-config.replay.capacity // self._batch)):
            self.learner.observe(self._stream.next(self._batch), 0)
        self._arriving: list[Observation] = []
        self.measured = False

    def prepare(self) -> None:
        torch.set_num_threads(self._threads)
        self._arriving = self._stream.next(self._batch)

    def __call__(self, steps: int) -> None:
        before = self.learner.steps
        made = self.learner.observe(self._arriving, steps)
        assert len(made) == steps, f"{len(made)} steps of {steps}"
        self.measured = any(step % MEASURE_EVERY == 0 for step in range(before, before + steps))


class StepByStep:
    """A loop that needs nothing but its next step."""

    def prepare(self) -> None:
        pass

    def __call__(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """Makes one gradient step."""
        raise NotImplementedError


class Bare(StepByStep):
    """What an engineer writes: two views, a frozen trunk, NT-Xent, alignment to a teacher that follows, AdamW."""

    def __init__(self, config: Config, encoder: Encoder, device: torch.device, *, compiled: bool) -> None:
        self.config, self.device, self.trunk = config, device, encoder.trunk
        self.pixels = Stream(training_px(encoder.image_px), encoder.dim).pixels_NCHW
        self.tail = encoder.new_tail().to(device)
        self.teacher = encoder.new_tail().to(device).requires_grad_(False)
        hidden, outputs = config.learner.head_dims
        layers = nn.Linear(encoder.dim, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        self.head = nn.Sequential(*layers).to(device)
        self.trained = [p for m in (self.tail, self.head) for p in m.parameters() if p.requires_grad]
        self.optimizer = adamw(self.trained, config, device)
        self.chance = Generator(HOST).manual_seed(0)
        if compiled:
            self.tail.compile()
            self.teacher.compile()

    def step(self) -> None:
        settings = self.config.learner
        views = two_views(self.pixels, self.config, self.chance, self.device)
        with torch.no_grad(), autocast(self.device):
            features = self.trunk(views)
            target = self.teacher(replayed(features, settings.replay_batch))
        with autocast(self.device):
            embedded = self.tail(features)
            projected = self.head(embedded)
        likeness = F.cosine_similarity(replayed(embedded, settings.replay_batch).float(), target.float())
        loss = contrast(projected.float(), settings.temperature) - settings.align * likeness.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.trained, settings.grad_clip)
        self.optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), self.tail.parameters(), strict=True):
                slow.lerp_(fast, 1 - settings.teacher_decay)
        loss.item()


class Lightly(StepByStep):
    """lightly's SimCLR as its documentation has it: each view through the network by itself, its head, its loss."""

    def __init__(self, config: Config, encoder: Encoder, device: torch.device, *, compiled: bool) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.config, self.device = config, device
        self.pixels = Stream(training_px(encoder.image_px), encoder.dim).pixels_NCHW
        tail = encoder.new_tail().to(device)
        self.backbone = nn.Sequential(encoder.trunk, tail)
        self.projection_head = SimCLRProjectionHead(encoder.dim, *config.learner.head_dims).to(device)
        self.criterion = NTXentLoss(temperature=config.learner.temperature)
        trained = [p for m in (tail, self.projection_head) for p in m.parameters() if p.requires_grad]
        self.optimizer = adamw(trained, config, device)
        self.chance = Generator(HOST).manual_seed(0)
        if compiled:
            tail.compile()

    def step(self) -> None:
        x0, x1 = two_views(self.pixels, self.config, self.chance, self.device).chunk(2)
        with autocast(self.device):
            loss: Tensor = self.criterion(self.projected(x0), self.projected(x1))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()

    def projected(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection_head(self.backbone(x).flatten(start_dim=1))
        return projected


def two_views(pixels_NCHW: Tensor, config: Config, chance: Generator, device: torch.device) -> Tensor:
    """A batch as large as the agent's, drawn at random, on the device: all first views, then all second ones."""
    count = config.learner.stream_batch + config.learner.replay_batch
    chosen = torch.randint(len(pixels_NCHW), (count,), generator=chance, device=HOST)
    pixels = upload(pixels_NCHW[chosen], device).repeat(2, 1, 1, 1)
    return augment(pixels, config.augment, config.encoder.image_px, chance)


def replayed(rows_2N: Tensor, count: int) -> Tensor:
    """Both views of the last `count` pictures."""
    first, second = rows_2N.chunk(2)
    return torch.cat([first[-count:], second[-count:]])


def contrast(projected_2ND: Tensor, temperature: float) -> Tensor:
    """NT-Xent; rows i and i + N are the views of one picture."""
    z = F.normalize(projected_2ND, dim=1)
    similar = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    partner = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    return F.cross_entropy(similar, partner)


def adamw(parameters: Sequence[nn.Parameter], config: Config, device: torch.device) -> torch.optim.AdamW:
    settings = config.learner
    return torch.optim.AdamW(
        parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=has_fused_adamw(device)
    )
