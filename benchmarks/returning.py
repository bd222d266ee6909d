"""Classes that leave and return: did the kinds that they had sleep meanwhile, and did they wake with them?

* `returned_with_old_id`: of the classes that leave and return, and had a kind of their own when they left, the share
  whose later pictures are mostly in that very kind.
* `slept`: share of these kinds that were dormant when the class returned.
* `woke`: share of those that were revived afterwards.
* `dormant`, `dormant_right`: times a kind became dormant, and the share in which no class that it is mostly of had come
  in that round.
* `revived`, `revived_right`: times a dormant kind came back, and the share in which its class had come in that round.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.discovery import PURITY
from benchmarks.metrics import UNASSIGNED
from storage.records import Assignments, ClusterRecord, ClusterState, Event, EventType


class Returning:
    """What is known of them, round by round.

    Args:
        label_N: hidden class of every picture; its id is its index plus one.
        away: class -> rounds in which it leaves and returns.
    """

    def __init__(self, label_N: NDArray[np.int64], away: Mapping[int, tuple[int, int]]) -> None:
        self._label_N = label_N
        self._away = away
        self._had: dict[int, int] = {}
        self._slept: dict[int, bool] = {}
        self._returned: dict[int, list[int]] = {}
        self._came: dict[int, int] = {}
        self._revived: set[tuple[int, int]] = set()
        self._right: dict[EventType, list[bool]] = {EventType.DORMANT: [], EventType.REVIVED: []}

    def look(
        self, number: int, part_N: NDArray[np.int64], now: Assignments, records: Mapping[int, ClusterRecord]
    ) -> None:
        """Before a round: what comes in it (indices), and how the kinds stand."""
        for c, (leaves, returns) in self._away.items():
            if number == leaves:
                self._note_leaving(c, now)
            elif number == returns and c in self._had:
                self._slept[c] = records[self._had[c]].state is ClusterState.DORMANT
            if number >= returns:
                self._returned.setdefault(c, []).extend((part_N[self._label_N[part_N] == c] + 1).tolist())
        self._came |= dict.fromkeys(np.unique(self._label_N[part_N]).tolist(), number)

    def _note_leaving(self, c: int, now: Assignments) -> None:
        own = [kind for kind, classes in classes_by_kind(now, self._label_N).items() if classes == frozenset({c})]
        members = Counter(now.cluster_N.tolist())
        if own:
            self._had[c] = max(own, key=lambda kind: members[kind])

    def tell(self, number: int, events: Sequence[Event], classes_of: Mapping[int, frozenset[int]]) -> None:
        """After a round: its events, and the classes that kinds are mostly of now."""
        for event in events:
            if event.cluster_id is None or event.type not in self._right:
                continue
            came = max((self._came.get(c, 0) for c in classes_of.get(event.cluster_id, ())), default=0)
            if event.type is EventType.REVIVED:
                self._revived.add((event.cluster_id, number))
            self._right[event.type].append((came == number) is (event.type is EventType.REVIVED))

    def result(self, kind_of: Mapping[int, int]) -> dict[str, float | None]:
        """All figures; None where there was nothing to look at.

        Args:
            kind_of: picture id -> kind, at the end.
        """
        back = [
            heir(np.array(self._returned[c], dtype=np.int64), kind_of) == kind
            for c, kind in self._had.items()
            if self._returned.get(c)
        ]
        woke = [
            any(kind == self._had[c] and number >= self._away[c][1] for kind, number in self._revived)
            for c, slept in self._slept.items()
            if slept
        ]
        dormant, revived = self._right[EventType.DORMANT], self._right[EventType.REVIVED]
        return {
            "returned_with_old_id": share(back),
            "slept": share(list(self._slept.values())),
            "woke": share(woke),
            "dormant": len(dormant),
            "dormant_right": share(dormant),
            "revived": len(revived),
            "revived_right": share(revived),
        }


def share(right: Sequence[bool]) -> float | None:
    """Of those that were looked at; None where nothing was."""
    return round(statistics.fmean(right), 4) if right else None


def heir(picture_M: NDArray[np.int64], kind_of: Mapping[int, int]) -> int:
    """The kind that has most of these pictures now, of those that have one."""
    kinds, count = np.unique([kind_of[picture] for picture in picture_M.tolist()], return_counts=True)
    count[kinds == UNASSIGNED] = 0
    return int(kinds[count.argmax()])


def classes_by_kind(now: Assignments, label_N: NDArray[np.int64]) -> dict[int, frozenset[int]]:
    """For each kind the classes that its members are mostly of."""
    class_N = label_N[now.picture_N - 1]
    return {kind: mostly(class_N[now.cluster_N == kind]) for kind in set(now.cluster_N.tolist()) - {UNASSIGNED}}


def mostly(class_M: NDArray[np.int64]) -> frozenset[int]:
    """The fewest classes that make up PURITY of the members."""
    classes, count = np.unique(class_M, return_counts=True)
    order = np.argsort(-count, kind="stable")
    enough = int(np.searchsorted(np.cumsum(count[order]), PURITY * len(class_M))) + 1
    return frozenset(classes[order[:enough]].tolist())
