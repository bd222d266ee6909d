"""Whether identities last: classes arrive, leave and return, and ten encoder versions are published meanwhile.

    python -m benchmarks.identity --json
    python -m benchmarks.identity --set digits --seed 0 --json

The stream of `benchmarks.world` through the real clusterer and the real lineage, labels hidden; a stock of pictures at
first, then round after round.

* `id_retention`: share of pictures that keep their id from round to round in stationary stretches: neither a
  publication, nor a class that arrives or returns, in this round or the one before it.
* `id_retention_ever`: the same over all rounds.
* `nmi`, `nmi_scratch`: agreement with the hidden classes there, as followed and as clustered from nothing.
* `names_kept`: publications, of ten, after which every name given before the first is on a living kind that has more
  than any other of the pictures that bore the name.
* `names_hold`: share of these names that, at the end, are still on more than half of the pictures that bore them before
  the first publication: what a drift that is slow enough for `names_kept` would take from them.
* `returned_with_old_id`, `slept`, `woke` and what else `benchmarks.returning` tells of classes that leave and return
  (`cluster.dormant_after` is DORMANT_ROUNDS rounds here).
* `discovery_delay`: pictures of a class that arrives later until an active kind is mostly of it; a class that is never
  found counts as all its pictures.
* `false_emergences_per_1000`: kinds that emerged although another kind is mostly of the same class, per 1,000 pictures.
* `split_f1`, `merge_f1`: events of the agent against the planted ones, right within PATIENCE rounds, of each kind once;
  all others count against it.
* `split_parted`: share of the splits, planted or not, whose parts are not mostly of the same classes.
* `merge_alike`: share of the merges, planted or not, of kinds that were mostly of a class which they had in common.
* `split_undone`: share of the splits after which two of the parts were one again within UNDONE rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import numpy as np
from numpy.typing import NDArray

from agent.config import ClusterConfig, Config
from benchmarks.discovery import Discovery, kinds_at_once
from benchmarks.returning import Returning, classes_by_kind, heir, share
from benchmarks.world import Pair, World
from storage.records import Assignments, Event, EventType

DORMANT_ROUNDS = 5
PATIENCE = 2
UNDONE = 5
SCRATCH_EVERY = 4


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    runs = [one_run(name, int(seed)) for name in options.set.split(",") for seed in options.seed.split(",")]
    result = {**{key: mean_of(runs, key) for key in KEYS}, "runs": runs}
    print(json.dumps(result, indent=1) if options.json else "\n".join(_line(run) for run in [*runs, result]))
    return 0


KEYS = (
    "id_retention", "id_retention_ever", "nmi", "nmi_scratch", "names_kept", "names_hold", "discovery_delay",
    "false_emergences_per_1000", "split_precision", "split_recall", "split_f1", "split_parted", "split_undone",
    "merge_precision", "merge_recall", "merge_f1", "merge_alike", "returned_with_old_id", "slept", "woke",
    "dormant", "dormant_right", "revived", "revived_right", "drift",
)  # fmt: skip


def mean_of(runs: Sequence[dict[str, Any]], key: str) -> float:
    """Over the runs that have it; 0 where none has."""
    values = [run[key] for run in runs if run[key] is not None]
    return round(statistics.fmean(values), 4) if values else 0.0


# -------------------------------------------------------------------- one run


@dataclass(frozen=True, slots=True)
class Change:
    """A split or merge that was told: in which round, of which kind, with which others, and all their classes."""

    number: int
    kind: int
    others: frozenset[int]
    classes: frozenset[int]


@dataclass(slots=True)
class Told:
    """What is counted on the way."""

    stationary: list[float] = field(default_factory=list)
    nmi: list[tuple[float, float]] = field(default_factory=list)
    names_kept: list[bool] = field(default_factory=list)
    false_emergences: int = 0
    splits: list[Change] = field(default_factory=list)
    merges: list[Change] = field(default_factory=list)
    parted: list[bool] = field(default_factory=list)
    alike: list[bool] = field(default_factory=list)


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
        self._returning = Returning(self._world.label_N, self._world.away)
        self._seed = seed
        self.told = Told()

    def through(self) -> None:
        """All rounds."""
        world, version = self._world, 1
        innate_ND, learned_ND = world.innate(), world.learned(1)
        arrived_N = np.empty(0, dtype=np.int64)
        for number, part_N in enumerate(world.arrivals()):
            arrived_N = np.concatenate([arrived_N, part_N])
            self._returning.look(number, part_N, self._discovery.assignments, self._discovery.records)
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
            self._returning.tell(number, self._discovery.events, self._classes_by_kind())
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
        return classes_by_kind(self._discovery.assignments, self._world.label_N)

    def _give_names(self) -> None:
        """To all kinds; of each pair that will come together only to the largest, since two names would forbid it."""
        now, classes_of = self._discovery.assignments, self._classes_by_kind()
        members = Counter(now.cluster_N.tolist())
        spared: set[int] = set()
        for pair in self._world.pairs:
            if pair.apart_until < 99:
                of_pair = [kind for kind, classes in classes_of.items() if classes & {pair.one, pair.other}]
                spared |= set(of_pair) - set(sorted(of_pair, key=lambda kind: -members[kind])[:1])
        for kind in classes_of.keys() - spared:
            self._discovery.name(kind, f"kind {kind}")
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

    # ---------------------------------------------------------------- events

    def _tell_events(self, number: int, before: dict[int, frozenset[int]]) -> None:
        now = self._classes_by_kind()
        for event in self._discovery.events:
            if event.cluster_id is None:
                continue
            kinds = (event.cluster_id, *event.other_ids)
            if event.type is EventType.SPLIT:
                parts = [now[kind] for kind in kinds if kind in now]
                self.told.splits.append(change(number, event, parts))
                self.told.parted.append(len(set(parts)) > 1)
            elif event.type is EventType.ABSORBED:
                parts = [before[kind] for kind in kinds if kind in before]
                self.told.merges.append(change(number, event, parts))
                self.told.alike.append(len(parts) > 1 and bool(frozenset[int].intersection(*parts)))
            elif event.type is EventType.EMERGED:
                mine = now.get(event.cluster_id, frozenset())
                others = [classes for kind, classes in now.items() if kind != event.cluster_id]
                self.told.false_emergences += any(len(mine) == 1 and classes == mine for classes in others)

    # ---------------------------------------------------------------- result

    def result(self) -> dict[str, Any]:
        """All figures."""
        world, told = self._world, self.told
        seen = np.bincount(world.label_N[self._discovery.assignments.picture_N - 1], minlength=world.classes)
        delays = [self._discovery.delay_of.get(c, int(seen[c])) for c in world.late]
        splits, merges = world.planted(merges=False), world.planted(merges=True)
        pictures = len(self._discovery.assignments.picture_N)
        return {
            "id_retention": round(statistics.fmean(told.stationary), 4),
            "id_retention_ever": round(statistics.fmean(self._discovery.kept), 4),
            "names_kept": sum(told.names_kept),
            "names": len(self._named),
            "names_hold": round(self._names_hold(), 4),
            "discovery_delay": round(statistics.fmean(delays), 1),
            "false_emergences_per_1000": round(1000 * told.false_emergences / pictures, 2),
            **scores("split", told.splits, splits),
            "split_parted": share(told.parted),
            "split_undone": share([undone(split, told.merges) for split in told.splits]),
            **scores("merge", told.merges, merges),
            "merge_alike": share(told.alike),
            **self._returning.result(self._kind_of()),
            "nmi": round(statistics.fmean(one for one, _ in told.nmi), 4),
            "nmi_scratch": round(statistics.fmean(other for _, other in told.nmi), 4),
            "rounds": world.rounds,
            "pictures": pictures,
            "drift": round(world.drift(), 3),
        }


def mine(picture_M: NDArray[np.int64], kind: int, kind_of: Mapping[int, int]) -> float:
    """Share of these pictures that belong to the kind."""
    return statistics.fmean(kind_of[picture] == kind for picture in picture_M.tolist())


def change(number: int, event: Event, parts: Sequence[frozenset[int]]) -> Change:
    """An event as it is counted, of kinds with these classes."""
    assert event.cluster_id is not None
    return Change(number, event.cluster_id, frozenset(event.other_ids), frozenset().union(*parts))


def undone(split: Change, merges: Sequence[Change]) -> bool:
    """Whether parts of it were joined again soon."""
    parts = {split.kind, *split.others}
    return any(
        split.number < merge.number <= split.number + UNDONE and {merge.kind, *merge.others} <= parts
        for merge in merges
    )


def scores(name: str, told: Sequence[Change], planted: Sequence[tuple[int, Pair]]) -> dict[str, float]:
    """Precision, recall and F1 of events; of each kind one event is right for a planted one."""
    found: set[tuple[int, Pair]] = set()
    claimed: set[tuple[int, int, Pair]] = set()
    for one in told:
        for when, pair in planted:
            in_time = when <= one.number <= when + PATIENCE
            if in_time and {pair.one, pair.other} <= one.classes and (one.kind, when, pair) not in claimed:
                claimed.add((one.kind, when, pair))
                found.add((when, pair))
                break
    precision = len(claimed) / len(told) if told else float(not planted)
    recall = len(found) / len(planted) if planted else 1.0
    f1 = 2 * precision * recall / (precision + recall) if found else 0.0
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
