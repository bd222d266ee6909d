"""Whether identities last: classes arrive, leave and return, and ten encoder versions are published meanwhile.

    python -m benchmarks.identity --json
    python -m benchmarks.identity --set digits --seed 0 --json

Real pictures (innate embeddings of the default network), the real clusterer and the real lineage, labels hidden; a
stock of pictures at first, then round after round. The learned half is made by ten networks, each of which is drawn
near the one before, so that every publication moves the vectors beyond the threshold for publishing (`drift`). Some
pairs of classes are given one and the same place in the innate half; a version either tells them apart or does not.
That plants splits (the first version that does) and merges (the first that no longer does), and makes the truth known.
The pairs are drawn from the eight classes that the innate network knows best from all others: where nothing can be told
apart, no clusterer could see a split.

* `id_retention`: share of pictures that keep their id from round to round in stationary stretches: neither a
  publication, nor a class that arrives or returns, in this round or the one before it.
* `nmi`, `nmi_scratch`: agreement with the hidden classes there, as followed and as clustered from nothing.
* `names_kept`: publications, of ten, after which every name given before the first is on a living kind that has more
  than any other of the pictures that bore the name.
* `names_hold`: share of these names that, at the end, are still on more than half of the pictures that bore them before
  the first publication: what a drift that is slow enough for `names_kept` would take from them.
* `returned_with_old_id`: of the classes that leave and return, and had a kind of their own when they left, the share
  whose later pictures are mostly in that very kind; `revived` counts the kinds that were dormant meanwhile
  (`cluster.dormant_after` is DORMANT_ROUNDS rounds here, so that those who leave become dormant).
* `discovery_delay`: pictures of a class that arrives later until an active kind is mostly of it; a class that is never
  found counts as all its pictures.
* `false_emergences_per_1000`: kinds that emerged although another kind is mostly of the same class, per 1,000 pictures.
* `split_f1`, `merge_f1`: events of the agent against the planted ones, right within PATIENCE rounds; all others count
  against it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np
from numpy.typing import NDArray

from agent.config import ClusterConfig, Config
from agent.graph import neighbour_graph
from agent.space import unit
from benchmarks.discovery import PURITY, Discovery, kinds_at_once
from benchmarks.embeddings import innate_of
from benchmarks.metrics import UNASSIGNED
from storage.records import Assignments, EventType

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
SETS = {"digits": (10, 174, 20), "tiny20": (20, 500, 100)}
"""Classes, pictures of each, and pictures a round."""

PLANTED = 8
"""Classes in pairs that come apart or together."""

PUBLICATIONS = 10
WIDTH = 256
"""Of what the drawn networks make of a picture."""

STEP = 0.5
"""How much of a network is drawn anew for the next version."""

STOCK = 0.4
"""Share of the pictures that are there at the beginning."""

DORMANT_ROUNDS = 5
PATIENCE = 2
SCRATCH_EVERY = 4


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    runs = [one_run(name, int(seed)) for name in options.set.split(",") for seed in options.seed.split(",")]
    result = {**{key: mean_of(runs, key) for key in KEYS}, "runs": runs}
    print(json.dumps(result, indent=1) if options.json else "\n".join(_line(run) for run in [*runs, result]))
    return 0


KEYS = (
    "id_retention", "names_kept", "names_hold", "returned_with_old_id", "revived", "discovery_delay",
    "false_emergences_per_1000", "split_f1", "merge_f1", "nmi", "nmi_scratch", "drift",
)  # fmt: skip


def mean_of(runs: Sequence[dict[str, Any]], key: str) -> float:
    """Over the runs that have it; 0 where none has."""
    values = [run[key] for run in runs if run[key] is not None]
    return round(statistics.fmean(values), 4) if values else 0.0


# -------------------------------------------------------------------- the world


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
        classes, per_class, self.batch = SETS[name]
        self._innate_ND, self.label_N = innate_of(name, classes, per_class, 0, CACHE)
        self._rng = np.random.default_rng([seed, classes])
        clear = np.argsort(-purity(self._innate_ND, self.label_N), kind="stable")
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

    def present(self, number: int) -> list[int]:
        """Classes that arrive in a round."""
        return [
            c
            for c in range(int(self.label_N.max()) + 1)
            if number >= self.late.get(c, 0) and not self._is_away(c, number)
        ]

    def _is_away(self, c: int, number: int) -> bool:
        leaves, returns = self.away.get(c, (0, 0))
        return leaves <= number < returns

    def changes(self, number: int) -> bool:
        """Whether a class arrives, leaves or returns in a round."""
        return number > 0 and self.present(number) != self.present(number - 1)

    def arrivals(self) -> list[NDArray[np.int64]]:
        """Indices of the pictures of every round; alike from all classes that are there, while they last."""
        waiting = {c: self._rng.permutation(np.flatnonzero(self.label_N == c)).tolist() for c in set(self.label_N)}
        parts = []
        for number in range(self.rounds):
            present = self.present(number)
            batch = self.batch if number else int(STOCK * len(self.label_N))
            each = -(-batch // len(present))
            drawn = [waiting[c].pop() for c in present for _ in range(min(each, len(waiting[c])))]
            parts.append(self._rng.permutation(np.array(drawn, dtype=np.int64)))
        return parts

    def innate(self) -> NDArray[np.float32]:
        """(N, D), with the pairs one upon the other."""
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
        shape = (self._innate_ND.shape[1], WIDTH)
        network = np.random.default_rng([self._seed, 2]).normal(size=shape)
        for later in range(3, version + 1):
            drawn = np.random.default_rng([self._seed, later]).normal(size=shape)
            network = (1 - STEP**2) ** 0.5 * network + STEP * drawn
        return network.astype(np.float32)

    def _seen(self, apart: Sequence[Pair]) -> NDArray[np.float32]:
        seen_ND = unit(self._innate_ND)
        for pair in self.pairs:
            if pair not in apart:
                one_N, other_N = self.label_N == pair.one, self.label_N == pair.other
                seen_ND[other_N] += seen_ND[one_N].mean(axis=0) - seen_ND[other_N].mean(axis=0)
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


# -------------------------------------------------------------------- one run


@dataclass(slots=True)
class Told:
    """What is counted on the way."""

    stationary: list[float] = field(default_factory=list)
    nmi: list[tuple[float, float]] = field(default_factory=list)
    names_kept: list[bool] = field(default_factory=list)
    false_emergences: int = 0
    revived: int = 0
    splits: list[tuple[int, frozenset[int]]] = field(default_factory=list)
    merges: list[tuple[int, frozenset[int]]] = field(default_factory=list)


class Run:
    """One stream, round by round."""

    def __init__(self, name: str, seed: int) -> None:
        self._world = World(name, seed)
        self._config = ClusterConfig(
            **{
                **Config().cluster.model_dump(),
                "every": self._world.batch,
                "dormant_after": DORMANT_ROUNDS * self._world.batch,
            }
        )
        self._discovery = Discovery(self._config, self._world.label_N, seed)
        self._named: dict[int, NDArray[np.int64]] = {}
        self._left: dict[int, int] = {}
        self._returned: dict[int, list[int]] = {}
        self._seed = seed
        self.told = Told()

    def through(self) -> None:
        """All rounds."""
        world, version = self._world, 1
        innate_ND, learned_ND = world.innate(), world.learned(1)
        arrived_N = np.empty(0, dtype=np.int64)
        for number, part_N in enumerate(world.arrivals()):
            arrived_N = np.concatenate([arrived_N, part_N])
            self._note_leaving(number, part_N)
            published = number in world.publication_rounds
            if published:
                if version == 1:
                    self._give_names()
                version += 1
                learned_ND = world.learned(version)
            before, last = self._classes_by_kind(), self._discovery.assignments
            learned_MD = None if learned_ND is None else learned_ND[arrived_N]
            found = self._discovery.round(arrived_N, innate_ND[arrived_N], learned_MD, version)
            self._tell_events(number, before)
            if published:
                self.told.names_kept.append(self._names_are_kept(last))
            elif self._stationary(number):
                self.told.stationary.append(self._discovery.kept[-1])
                if len(self.told.stationary) % SCRATCH_EVERY == 1:
                    label_M = world.label_N[arrived_N]
                    scratch = kinds_at_once(self._config, label_M, innate_ND[arrived_N], learned_MD, self._seed)
                    self.told.nmi.append((found.nmi, scratch.nmi))

    def _stationary(self, number: int) -> bool:
        world = self._world
        recent = (number, number - 1)
        return number > 2 and not any(world.changes(r) or r in world.publication_rounds for r in recent)

    # ---------------------------------------------------------------- who is who

    def _classes_by_kind(self) -> dict[int, frozenset[int]]:
        """For each kind the classes that its members are mostly of: as few as make up PURITY of it."""
        now = self._discovery.assignments
        class_N = self._world.label_N[now.picture_N - 1]
        return {kind: mostly(class_N[now.cluster_N == kind]) for kind in set(now.cluster_N.tolist()) - {UNASSIGNED}}

    def _give_names(self) -> None:
        """To all kinds but one of each pair that will come together, since two names would forbid it."""
        spared = {pair.other for pair in self._world.pairs if pair.apart_until < 99}
        for kind, classes in self._classes_by_kind().items():
            if not classes & spared or len(classes) > 1:
                self._discovery.name(kind, f"kind {kind}")
                now = self._discovery.assignments
                self._named[kind] = now.picture_N[now.cluster_N == kind]

    def _names_are_kept(self, before: Assignments) -> bool:
        """Whether each name is on a living kind that has more than any other kind of the pictures it was on."""
        living, kind_of = self._discovery.living(), self._kind_of()
        return all(
            name in living and heir(before.picture_N[before.cluster_N == name], kind_of) == name for name in self._named
        )

    def _names_hold(self) -> float:
        """Share of the names that are still on most of the pictures that bore them first."""
        kind_of = self._kind_of()
        held = [mine(bore_M, name, kind_of) > 0.5 for name, bore_M in self._named.items()]
        return statistics.fmean(held) if held else 0.0

    def _kind_of(self) -> dict[int, int]:
        now = self._discovery.assignments
        return dict(zip(now.picture_N.tolist(), now.cluster_N.tolist(), strict=True))

    # ---------------------------------------------------------------- who leaves and returns

    def _note_leaving(self, number: int, part_N: NDArray[np.int64]) -> None:
        """The kind that a class has when it leaves, and the pictures that come after its return."""
        kinds = self._classes_by_kind()
        for c, (leaves, returns) in self._world.away.items():
            if number == leaves:
                own = [kind for kind, classes in kinds.items() if classes == frozenset({c})]
                if own:
                    members = Counter(self._discovery.assignments.cluster_N.tolist())
                    self._left[c] = max(own, key=lambda kind: members[kind])
            elif number >= returns:
                self._returned.setdefault(c, []).extend((part_N[self._world.label_N[part_N] == c] + 1).tolist())

    def _returned_with_old_id(self) -> float | None:
        """Share of the classes that came back into the kind that they had; None where none had one."""
        kind_of = self._kind_of()
        back = [
            heir(np.array(self._returned[c], dtype=np.int64), kind_of) == kind
            for c, kind in self._left.items()
            if self._returned.get(c)
        ]
        return round(statistics.fmean(back), 4) if back else None

    # ---------------------------------------------------------------- events

    def _tell_events(self, number: int, before: dict[int, frozenset[int]]) -> None:
        now = self._classes_by_kind()
        for event in self._discovery.events:
            if event.cluster_id is None:
                continue
            if event.type is EventType.REVIVED:
                self.told.revived += 1
            elif event.type is EventType.SPLIT:
                parts = [now.get(kind, frozenset()) for kind in (event.cluster_id, *event.other_ids)]
                self.told.splits.append((number, frozenset().union(*parts)))
            elif event.type is EventType.ABSORBED:
                parts = [before.get(kind, frozenset()) for kind in (event.cluster_id, *event.other_ids)]
                self.told.merges.append((number, frozenset().union(*parts)))
            elif event.type is EventType.EMERGED:
                mine = now.get(event.cluster_id, frozenset())
                others = [classes for kind, classes in now.items() if kind != event.cluster_id]
                self.told.false_emergences += any(len(mine) == 1 and classes == mine for classes in others)

    # ---------------------------------------------------------------- result

    def result(self) -> dict[str, Any]:
        """All figures."""
        world, told = self._world, self.told
        seen = np.bincount(world.label_N[self._discovery.assignments.picture_N - 1], minlength=SETS[world.name][0])
        delays = [self._discovery.delay_of.get(c, int(seen[c])) for c in world.late]
        splits, merges = world.planted(merges=False), world.planted(merges=True)
        pictures = len(self._discovery.assignments.picture_N)
        return {
            "id_retention": round(statistics.fmean(told.stationary), 4),
            "names_kept": sum(told.names_kept),
            "names": len(self._named),
            "names_hold": round(self._names_hold(), 4),
            "returned_with_old_id": self._returned_with_old_id(),
            "revived": told.revived,
            "discovery_delay": round(statistics.fmean(delays), 1),
            "false_emergences_per_1000": round(1000 * told.false_emergences / pictures, 2),
            **scores("split", told.splits, splits),
            **scores("merge", told.merges, merges),
            "nmi": round(statistics.fmean(one for one, _ in told.nmi), 4),
            "nmi_scratch": round(statistics.fmean(other for _, other in told.nmi), 4),
            "rounds": world.rounds,
            "pictures": pictures,
            "drift": round(world.drift(), 3),
        }


def heir(picture_M: NDArray[np.int64], kind_of: Mapping[int, int]) -> int:
    """The kind that has most of these pictures now, of those that have one."""
    kinds, count = np.unique([kind_of[picture] for picture in picture_M.tolist()], return_counts=True)
    count[kinds == UNASSIGNED] = 0
    return int(kinds[count.argmax()])


def mine(picture_M: NDArray[np.int64], kind: int, kind_of: Mapping[int, int]) -> float:
    """Share of these pictures that belong to the kind."""
    return statistics.fmean(kind_of[picture] == kind for picture in picture_M.tolist())


def mostly(class_M: NDArray[np.int64]) -> frozenset[int]:
    """The fewest classes that make up PURITY of the members."""
    classes, count = np.unique(class_M, return_counts=True)
    order = np.argsort(-count, kind="stable")
    enough = int(np.searchsorted(np.cumsum(count[order]), PURITY * len(class_M))) + 1
    return frozenset(classes[order[:enough]].tolist())


def scores(
    name: str, told: Sequence[tuple[int, frozenset[int]]], planted: Sequence[tuple[int, Pair]]
) -> dict[str, float]:
    """Precision, recall and F1 of events: each planted one answers for one event at most."""
    open_ = list(planted)
    right = 0
    for number, classes in told:
        for when, pair in open_:
            if when <= number <= when + PATIENCE and {pair.one, pair.other} <= classes:
                open_.remove((when, pair))
                right += 1
                break
    precision = right / len(told) if told else float(not planted)
    recall = right / len(planted) if planted else 1.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {
        f"{name}_f1": round(f1, 4), f"{name}_precision": round(precision, 4), f"{name}_recall": round(recall, 4),
    }  # fmt: skip


def one_run(name: str, seed: int) -> dict[str, Any]:
    """A stream from its beginning to its end."""
    run = Run(name, seed)
    run.through()
    return {"set": name, "seed": seed, **run.result()}


def _line(found: dict[str, Any]) -> str:
    who = f"{found.get('set', 'all')} {found.get('seed', '')}".strip()
    return f"{who}: " + ", ".join(f"{key} {found[key]}" for key in KEYS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="digits,tiny20", help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
