"""A stream of which is known what changes in it: classes arrive, leave and return, pairs come apart and together.

Real pictures (innate embeddings of the default network) in the order in which they arrive, which is that of their ids.
The learned half is made by ten networks, each of which is drawn near the one before, so that every publication moves
the vectors beyond the threshold for publishing (`drift`). Some pairs of classes are one in the innate half: in place of
pictures of the second class there are others of the first, each drawn between a picture of it and one of its nearest.
A version either sees so too, or sees both classes as they are. That plants splits (the first version that tells them
apart) and merges (the first that no longer does), and makes the truth known. The pairs are drawn from the eight classes
that the innate network knows best from all others: where nothing can be told apart, no clusterer could see a split.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.graph import neighbour_graph
from agent.space import unit
from benchmarks.embeddings import innate_of

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
SETS = {"digits": (10, 174, 20), "tiny20": (20, 500, 100)}
"""Classes, pictures of each, and pictures a round."""

PLANTED = 8
"""Classes in pairs that come apart or together."""

BETWEEN = 5
"""Nearest pictures of a class between which others are drawn."""

PUBLICATIONS = 10
WIDTH = 256
"""Of what the drawn networks make of a picture."""

STEP = 0.5
"""How much of a network is drawn anew for the next version."""

STOCK = 0.4
"""Share of the pictures that are there at the beginning."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classes that the innate network takes for one, and the versions that tell them apart."""

    one: int
    other: int
    apart_from: int
    apart_until: int

    def apart(self, version: int) -> bool:
        return self.apart_from <= version < self.apart_until


class World:
    """Pictures of a set, when each class is there, and how each version sees them; version 1 is the innate network."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.classes, per_class, self.batch = SETS[name]
        innate_ND, self.label_N = innate_of(name, self.classes, per_class, 0, CACHE)
        self._rng = np.random.default_rng([seed, self.classes])
        clear = np.argsort(-purity(innate_ND, self.label_N), kind="stable")
        order = [*self._rng.permutation(clear[:PLANTED]).tolist(), *self._rng.permutation(clear[PLANTED:]).tolist()]
        self.pairs = (
            Pair(order[0], order[1], 4, 99), Pair(order[2], order[3], 7, 99),
            Pair(order[4], order[5], 2, 6), Pair(order[6], order[7], 2, 9),
        )  # fmt: skip
        rest = order[8:]
        self.rounds = int(len(self.label_N) * (0.9 - STOCK)) // self.batch
        self.late = {c: self.rounds * (3 + 12 * i // len(rest[::2])) // 20 for i, c in enumerate(rest[::2])}
        self.away = dict.fromkeys(rest[1::2], (self.rounds * 4 // 10, self.rounds * 7 // 10))
        self.publication_rounds = [self.rounds // 4 + self.rounds * 7 * i // 100 for i in range(PUBLICATIONS)]
        self._seed = seed
        drawn = self._draw()
        self._sizes = [len(part) for part in drawn]
        order_N = np.concatenate(drawn)
        self.label_N = self.label_N[order_N]
        self._apart_ND = unit(innate_ND[order_N].astype(np.float32))
        self._as_one_ND = self._apart_ND.copy()
        for pair in self.pairs:
            one_MD = self._apart_ND[self.label_N == pair.one]
            other_N = self.label_N == pair.other
            self._as_one_ND[other_N] = between(one_MD, int(other_N.sum()), self._rng)

    def present(self, number: int) -> list[int]:
        """Classes that arrive in a round."""
        return [c for c in range(self.classes) if number >= self.late.get(c, 0) and not self._is_away(c, number)]

    def _is_away(self, c: int, number: int) -> bool:
        leaves, returns = self.away.get(c, (0, 0))
        return leaves <= number < returns

    def changes(self, number: int) -> bool:
        """Whether a class arrives, leaves or returns in a round."""
        return number > 0 and self.present(number) != self.present(number - 1)

    def arrivals(self) -> list[NDArray[np.int64]]:
        """Indices of the pictures of every round."""
        ends = np.cumsum(self._sizes)
        return [np.arange(end - size, end) for size, end in zip(self._sizes, ends, strict=True)]

    def _draw(self) -> list[NDArray[np.int64]]:
        """Pictures of every round; alike from all classes that are there, while they last."""
        waiting = {c: self._rng.permutation(np.flatnonzero(self.label_N == c)).tolist() for c in range(self.classes)}
        parts = []
        for number in range(self.rounds):
            present = self.present(number)
            batch = self.batch if number else int(STOCK * len(self.label_N))
            each = -(-batch // len(present))
            drawn = [waiting[c].pop() for c in present for _ in range(min(each, len(waiting[c])))]
            parts.append(self._rng.permutation(np.array(drawn, dtype=np.int64)))
        return parts

    def innate(self) -> NDArray[np.float32]:
        """(N, D), with the pairs as one."""
        return self._seen(())

    def learned(self, version: int) -> NDArray[np.float32] | None:
        """(N, WIDTH) by a network drawn for the version; None for the first."""
        if version == 1:
            return None
        seen_ND = self._seen([pair for pair in self.pairs if pair.apart(version)])
        seen_ND = unit(seen_ND - seen_ND.mean(axis=0))
        return np.asarray(np.tanh(seen_ND @ self._network(version)), dtype=np.float32)

    def _network(self, version: int) -> NDArray[np.float32]:
        """(D, WIDTH), a step away from the version before."""
        shape = (self._apart_ND.shape[1], WIDTH)
        network = np.random.default_rng([self._seed, 2]).normal(size=shape)
        for later in range(3, version + 1):
            drawn = np.random.default_rng([self._seed, later]).normal(size=shape)
            network = (1 - STEP**2) ** 0.5 * network + STEP * drawn
        return network.astype(np.float32)

    def _seen(self, apart: Sequence[Pair]) -> NDArray[np.float32]:
        seen_ND = self._as_one_ND.copy()
        for pair in apart:
            other_N = self.label_N == pair.other
            seen_ND[other_N] = self._apart_ND[other_N]
        return seen_ND

    def planted(self, merges: bool) -> list[tuple[int, Pair]]:
        """Rounds in which pairs come apart, or together again."""
        versions = [(pair.apart_until if merges else pair.apart_from, pair) for pair in self.pairs]
        return [(self.publication_rounds[v - 2], pair) for v, pair in versions if v - 2 < PUBLICATIONS]

    def drift(self) -> float:
        """The smallest 1 - mean cosine between versions that follow each other."""
        seen = [self.learned(version) for version in range(2, PUBLICATIONS + 2)]
        unit_ = [unit(vectors) for vectors in seen if vectors is not None]
        return min(1 - float((a * b).sum(axis=1).mean()) for a, b in pairwise(unit_))


def purity(innate_ND: NDArray[np.floating], label_N: NDArray[np.int64], k: int = 20) -> NDArray[np.float64]:
    """For each class the share of its pictures' k nearest neighbours that are of it, (C,)."""
    neighbour_NK = neighbour_graph(unit(innate_ND - innate_ND.mean(axis=0, dtype=np.float32)), k).neighbour_NK
    same_N = (label_N[neighbour_NK] == label_N[:, None]).mean(axis=1)
    return np.asarray(np.bincount(label_N, same_N) / np.bincount(label_N))


def between(one_MD: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Others of the same class (count, D): each between a picture and one of its nearest (SMOTE, Chawla et al. 2002).

    No two classes that differ can be laid upon each other so that neighbours do not tell them apart.
    """
    neighbour_MK = neighbour_graph(one_MD, BETWEEN).neighbour_NK
    row_N = rng.permutation(count) % len(one_MD)
    to_N = neighbour_MK[row_N, rng.integers(BETWEEN, size=count)]
    way_N1 = rng.random((count, 1), dtype=np.float32)
    return np.asarray(unit(one_MD[row_N] + way_N1 * (one_MD[to_N] - one_MD[row_N])), dtype=np.float32)
