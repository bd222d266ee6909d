"""Classes that leave and return, drawn by hand."""

from __future__ import annotations

import numpy as np

from benchmarks.returning import Returning
from storage.records import ClusterRecord, ClusterState, Event, EventType
from tests.factories import assign

LABEL_N = np.array([0, 0, 1, 1, 0, 1])
OWN = {1: 7, 2: 7, 3: 8, 4: 8}
NOW = assign(OWN)
CLASSES = {7: frozenset({0}), 8: frozenset({1})}


def records(state: ClusterState) -> dict[int, ClusterRecord]:
    return {7: ClusterRecord(7, state), 8: ClusterRecord(8, ClusterState.ACTIVE)}


def away(asleep: bool) -> Returning:
    """Class 0 leaves in round 2 and is to return in round 9; its kind is dormant then, or not."""
    returning = Returning(LABEL_N, {0: (2, 9)})
    returning.look(0, np.array([0, 1, 2, 3]), NOW, records(ClusterState.ACTIVE))
    returning.look(2, np.array([], dtype=np.int64), NOW, records(ClusterState.ACTIVE))
    returning.look(9, np.array([4]), NOW, records(ClusterState.DORMANT if asleep else ClusterState.ACTIVE))
    return returning


def test_a_kind_that_slept_and_woke_with_its_class() -> None:
    returning = away(asleep=True)
    returning.tell(9, [Event(EventType.REVIVED, 7)], CLASSES)
    found = returning.result({**OWN, 5: 7, 6: 8})
    assert (found["returned_with_old_id"], found["slept"], found["woke"]) == (1.0, 1.0, 1.0)
    assert (found["revived"], found["revived_right"], found["dormant"], found["dormant_right"]) == (1, 1.0, 0, None)


def test_a_kind_that_never_slept_and_a_class_that_came_back_elsewhere() -> None:
    found = away(asleep=False).result({**OWN, 5: 8, 6: 8})
    assert (found["returned_with_old_id"], found["slept"], found["woke"]) == (0.0, 0.0, None)


def test_sleep_is_right_when_the_class_is_away_and_waking_when_it_comes() -> None:
    returning = Returning(LABEL_N, {})
    returning.look(0, np.array([0, 1]), NOW, {})
    returning.look(1, np.array([2]), NOW, {})
    returning.tell(1, [Event(EventType.DORMANT, 7), Event(EventType.DORMANT, 8)], CLASSES)
    returning.tell(1, [Event(EventType.REVIVED, 7), Event(EventType.REVIVED, 8), Event(EventType.REVIVED, 8)], CLASSES)
    found = returning.result(OWN)
    assert (found["dormant_right"], found["revived_right"]) == (0.5, 0.6667)
