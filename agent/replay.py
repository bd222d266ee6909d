"""The replay buffer: a bounded memory of past pictures that is mixed into every training batch.

Half of it holds the newest, half a reservoir of all before, balanced over the kinds. It lives on the host, as uint8
at training resolution. It knows nothing of networks. Shapes: N pictures, S side, D innate dimensions.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from agent.config import ReplayConfig
from agent.errors import ConfigError
from agent.reservoir import BalancedReservoir

UNASSIGNED = -1
# Pictures without which there is nothing to mix into a batch.
FEWEST = 8
AT_ONCE = 64
"""Pictures that enter before as many leave: the reservoir sorts all that it holds for whatever is offered at once."""
OUTLINE_PX = 16
"""Side of the grey miniatures by which it is told whether two pictures look the same."""
LEAST_CONTRAST = 1.0
"""Grey levels; what differs by less is flat, and flat pictures look the same."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A picture on its way into the learner.

    Attributes:
        pixels_CHW: uint8 RGB, `(3, S, S)` with S = `agent.encoder.training_px(image_px)`.
        innate_D: float32, of any length.
        source: the folder or camera that it came from.
        taken_s: when it was taken, in seconds since 1970; None where nobody knows.
    """

    picture_id: int
    sha256: str
    pixels_CHW: Tensor
    innate_D: NDArray[np.float32]
    source: str = ""
    taken_s: float | None = None


Recall = Callable[[Sequence[str]], Sequence[Observation]]
"""sha256 of pictures to the pictures, those that are still there, in any order."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """A batch of them: uint8 `(N, 3, S, S)` and unit float32 `(N, D)`, on the host.

    Attributes:
        taken_N: float64 seconds, NaN where nobody knows.
        source_N: int64; equal numbers are one source.
    """

    shas: list[str]
    pixels_NCHW: Tensor
    innate_ND: Tensor
    taken_N: Tensor
    source_N: Tensor

    def __len__(self) -> int:
        return len(self.shas)


class Replay:
    """See the module. All of it is deterministic given the generator.

    Attributes:
        repeats: sha256 of a kept picture -> how many near duplicates of it were turned away.
        left: the same of pictures that were kept once, until somebody clears it.

    Raises:
        ConfigError: the bytes are too few for a memory.
    """

    def __init__(self, config: ReplayConfig, side_px: int, dim: int, generator: Generator) -> None:
        bytes_each = 3 * side_px**2 + 4 * (dim + OUTLINE_PX**2 + 1) + 2 * 8
        self.capacity = min(config.capacity, config.capacity_mb * 2**20 // bytes_each)
        if self.capacity < FEWEST:
            raise ConfigError(
                f"replay.capacity_mb={config.capacity_mb} is too little for {FEWEST} pictures of {side_px} px; "
                f"set it to {1 + FEWEST * bytes_each // 2**20} or more"
            )
        self._config = config
        self._generator = generator
        self._recent_room = round(self.capacity * config.recent_share)
        host = generator.device
        slots = self.capacity + AT_ONCE
        # Untouched pages of these cost nothing.
        self._pixels = torch.empty((slots, 3, side_px, side_px), dtype=torch.uint8, device=host)
        self._innate = torch.zeros((slots, dim), device=host)
        self._outline = torch.zeros((slots, OUTLINE_PX**2 + 1), device=host)
        self._taken = torch.empty(slots, dtype=torch.float64, device=host)
        self._source = torch.empty(slots, dtype=torch.long, device=host)
        self._kind = torch.full((slots,), UNASSIGNED, device=host)
        self._sha_of: dict[int, str] = {}
        self._free = list(range(slots - 1, -1, -1))
        self._recent: deque[int] = deque()
        self._reservoir = BalancedReservoir(self.capacity - self._recent_room, self._kinds_of, generator)
        self._kinds: Mapping[str, int] = {}
        self.repeats: dict[str, int] = {}
        self.left: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sha_of)

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._sha_of.values()

    @property
    def shas(self) -> list[str]:
        """Content hashes of what is kept."""
        return list(self._sha_of.values())

    def balance_by(self, kinds: Mapping[str, int]) -> None:
        """sha256 -> cluster id, as the last clustering has it; pictures that it lacks count as one group."""
        self._kinds = kinds
        for slot, sha256 in self._sha_of.items():
            self._kind[slot] = kinds.get(sha256, UNASSIGNED)

    def _kinds_of(self, slots_N: Tensor) -> Tensor:
        return self._kind[slots_N]

    def collect(self, batch: Sequence[Observation]) -> Pictures:
        """The batch as tensors."""
        if not batch:
            return self._take(self._reservoir.numbers_N[:0])
        innate_ND = torch.from_numpy(np.stack([o.innate_D for o in batch])).to(self._innate)
        taken = [math.nan if o.taken_s is None else o.taken_s for o in batch]
        return Pictures(
            [o.sha256 for o in batch],
            torch.stack([o.pixels_CHW for o in batch]),
            F.normalize(innate_ND, dim=1),
            torch.tensor(taken, dtype=torch.float64, device=self._taken.device),
            torch.tensor([_number_of(o.source) for o in batch], device=self._source.device),
        )

    def admit(self, batch: Sequence[Observation]) -> tuple[list[Observation], Tensor]:
        """The near-duplicate gate: pictures worth training on, and the novelty of each of the batch.

        A picture is a repeat of a kept one, or of an earlier one of the batch, when the innate cosine is above
        `near_duplicate` and the miniatures correlate by more than `near_duplicate_outline`; it is counted and turned
        away. (Without a gate, frames of a video train on themselves: 10 against 31 % on Kinetics, Purushwalkam et al.
        2022.) One alone will not do: to a network that knows little of a domain all pictures of it are alike.

        Returns:
            fresh: what passed, in order.
            novelty_N: 1 - cosine to the most alike kept picture; 1 while nothing is kept.
        """
        pictures, slots = self.collect(batch), self._slots()
        outline_NG = outlines(pictures.pixels_NCHW)
        # Columns are picked from the products: to pick rows of what is kept would copy all of it.
        used = 1 + max(slots, default=-1)
        to_kept_NM = (pictures.innate_ND @ self._innate[:used].T)[:, slots]
        twin_N = self._most_alike(to_kept_NM, (outline_NG @ self._outline[:used].T)[:, slots])
        same_NN = self._same(pictures.innate_ND @ pictures.innate_ND.T, outline_NG @ outline_NG.T).tolist()
        fresh: list[int] = []
        for i, twin in enumerate(twin_N):
            earlier = [j for j in fresh if same_NN[i][j]]
            if earlier:
                self._count_repeat(batch[earlier[0]].sha256)
            elif twin is not None:
                self._count_repeat(self._sha_of[slots[twin]])
            else:
                fresh.append(i)
        novelty_N = 1 - to_kept_NM.max(dim=1).values if slots else pictures.innate_ND.new_ones(len(batch))
        return [batch[i] for i in fresh], novelty_N

    def _most_alike(self, cosine_NM: Tensor, correlation_NM: Tensor) -> list[int | None]:
        """For each picture the number of the most alike one that it is a repeat of."""
        same_NM = self._same(cosine_NM, correlation_NM)
        if same_NM.shape[1] == 0:
            return [None] * len(same_NM)
        best_N = cosine_NM.masked_fill(~same_NM, -1).argmax(dim=1).tolist()
        return [best if found else None for best, found in zip(best_N, same_NM.any(dim=1).tolist(), strict=True)]

    def _same(self, cosine_NM: Tensor, correlation_NM: Tensor) -> Tensor:
        settings = self._config
        return (cosine_NM > settings.near_duplicate) & (correlation_NM > settings.near_duplicate_outline)

    def _count_repeat(self, sha256: str) -> None:
        self.repeats[sha256] = self.repeats.get(sha256, 0) + 1

    def add(self, batch: Sequence[Observation]) -> None:
        """Keeps pictures as the newest; the oldest of the newest are offered to the reservoir."""
        for start in range(0, len(batch), AT_ONCE):
            self._recent.extend(self._place(batch[start : start + AT_ONCE]))
            surplus = max(0, len(self._recent) - self._recent_room)
            leaving = [self._recent.popleft() for _ in range(surplus)]
            offered = torch.tensor(leaving, dtype=torch.long, device=self._generator.device)
            self._release(self._reservoir.offer(offered).tolist())

    def _place(self, batch: Sequence[Observation]) -> list[int]:
        """The slots of up to `AT_ONCE` pictures."""
        slots = [self._free.pop() for _ in batch]
        pictures = self.collect(batch)
        at = torch.tensor(slots, dtype=torch.long, device=self._generator.device)
        self._pixels[at], self._innate[at] = pictures.pixels_NCHW, pictures.innate_ND
        self._outline[at] = outlines(pictures.pixels_NCHW)
        self._taken[at], self._source[at] = pictures.taken_N, pictures.source_N
        kinds = [self._kinds.get(observation.sha256, UNASSIGNED) for observation in batch]
        self._kind[at] = torch.tensor(kinds, dtype=torch.long, device=at.device)
        self._sha_of.update(zip(slots, pictures.shas, strict=True))
        return slots

    def forget(self, shas: Sequence[str]) -> None:
        """Removes pictures for good."""
        gone = {slot for slot, sha in self._sha_of.items() if sha in set(shas)}
        self._recent = deque(slot for slot in self._recent if slot not in gone)
        stays = torch.tensor([n not in gone for n in self._reservoir.numbers_N.tolist()], dtype=torch.bool,
                             device=self._generator.device)  # fmt: skip
        self._reservoir.restore(self._reservoir.numbers_N[stays], self._reservoir.keys_N[stays])
        for slot in gone:
            self._pixels[slot] = 0
            self._innate[slot] = 0
            self._outline[slot] = 0
        self._release(sorted(gone))
        for sha in shas:
            self.left.pop(sha, None)

    def _release(self, slots: Sequence[int]) -> None:
        for slot in slots:
            sha256 = self._sha_of.pop(slot)
            if sha256 in self.repeats:
                self.left[sha256] = self.repeats.pop(sha256)
            self._free.append(slot)

    def _slots(self) -> list[int]:
        return [*self._recent, *self._reservoir.numbers_N.tolist()]

    def sample(self, count: int) -> Pictures:
        """At most `count` pictures without replacement; the newest and the reservoir by their share, and each makes
        up for what the other lacks."""
        host = self._generator.device
        old_O = self._shuffled(self._reservoir.numbers_N)
        new_N = self._shuffled(torch.tensor(self._recent, dtype=torch.long, device=host))
        from_old = min(len(old_O), max(count - round(count * self._config.recent_share), count - len(new_N)))
        return self._take(torch.cat([old_O[:from_old], new_N[: count - from_old]]))

    def _shuffled(self, slots_N: Tensor) -> Tensor:
        return slots_N[torch.randperm(len(slots_N), generator=self._generator, device=slots_N.device)]

    def _take(self, slots_N: Tensor) -> Pictures:
        return Pictures(
            [self._sha_of[slot] for slot in slots_N.tolist()],
            self._pixels[slots_N],
            self._innate[slots_N],
            self._taken[slots_N],
            self._source[slots_N],
        )

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON values; pictures by sha256 alone."""
        reservoir = self._reservoir.numbers_N.tolist()
        meta = {
            "recent": [self._sha_of[slot] for slot in self._recent],
            "reservoir": [self._sha_of[slot] for slot in reservoir],
            "repeats": dict(self.repeats),
        }
        return {"keys": self._reservoir.keys_N, "chance": self._generator.get_state()}, meta

    def load_state_dict(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], recall: Recall) -> None:
        """Takes the pictures from `recall`; those that it no longer has are left out.

        A memory that has become smaller keeps the highest keys of the reservoir, and the newest as newest: the rest of
        those are offered to the reservoir, as they would have been by arrivals.
        """
        found = {o.sha256: o for o in recall([*meta["recent"], *meta["reservoir"]])}
        self._empty()
        kept = [i for i, sha in enumerate(meta["reservoir"]) if sha in found][: self.capacity - self._recent_room]
        host = self._generator.device
        pictures = [found[meta["reservoir"][i]] for i in kept]
        parts = [self._place(pictures[start : start + AT_ONCE]) for start in range(0, len(pictures), AT_ONCE)]
        numbers_N = torch.tensor([slot for part in parts for slot in part], dtype=torch.long, device=host)
        self._reservoir.restore(numbers_N, tensors["keys"][torch.tensor(kept, dtype=torch.long, device=host)])
        self.add([found[sha] for sha in meta["recent"] if sha in found])
        kept_shas = set(self.shas)
        self.repeats = {sha: int(count) for sha, count in meta["repeats"].items() if sha in kept_shas}
        self._generator.set_state(tensors["chance"])

    def _empty(self) -> None:
        self._sha_of.clear()
        self.repeats.clear()
        self.left.clear()
        self._recent.clear()
        self._free = list(range(len(self._pixels) - 1, -1, -1))


def _number_of(source: str) -> int:
    """A number of the name, the same in every process."""
    return int.from_bytes(hashlib.blake2b(source.encode(), digest_size=8).digest(), signed=True)


def outlines(pixels_NCHW: Tensor) -> Tensor:
    """Unit vectors (N, G) of uint8 pictures whose products are correlations of grey miniatures."""
    grey_NG = F.adaptive_avg_pool2d(pixels_NCHW.float().mean(dim=1), OUTLINE_PX).flatten(1)
    flat_N1 = grey_NG.new_full((len(grey_NG), 1), LEAST_CONTRAST * OUTLINE_PX)
    return F.normalize(torch.cat([grey_NG - grey_NG.mean(dim=1, keepdim=True), flat_N1], dim=1), dim=1)
