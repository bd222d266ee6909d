"""What events say about a kind's state and name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.fold import NEWBORN, Face, PastEvent, fold
from storage.records import ClusterState, EventType

E = EventType


def past(*told: tuple[EventType, int | None, tuple[int, ...], dict[str, object]]) -> list[PastEvent]:
    return [PastEvent(number, *one) for number, one in enumerate(told, start=1)]


@pytest.mark.parametrize(
    ("types", "state"),
    [
        ([E.EMERGED], ClusterState.PROVISIONAL),
        ([E.EMERGED, E.CONFIRMED], ClusterState.ACTIVE),
        ([E.EMERGED, E.CONFIRMED, E.DORMANT], ClusterState.DORMANT),
        ([E.EMERGED, E.CONFIRMED, E.DORMANT, E.REVIVED], ClusterState.ACTIVE),
        ([E.EMERGED, E.ABSORBED], ClusterState.ENDED),
        ([E.EMERGED, E.CONFIRMED, E.DISAPPEARED], ClusterState.ENDED),
        ([E.EMERGED, E.CONFIRMED, E.SPLIT], ClusterState.ACTIVE),
        ([E.EMERGED, E.TAUGHT], ClusterState.PROVISIONAL),
    ],
)
def test_states(types: list[EventType], state: ClusterState) -> None:
    assert fold(past(*((type, 1, (), {}) for type in types)))[1].state is state


def test_merged_kinds_end_and_divided_ones_live() -> None:
    faces = fold(
        past((E.CONFIRMED, 1, (), {}), (E.MERGED, 1, (2, 3), {}), (E.DIVIDED, 1, (4,), {}), (E.SPLIT, 1, (5,), {}))
    )
    states = {cluster_id: face.state for cluster_id, face in faces.items()}
    ended, active = ClusterState.ENDED, ClusterState.ACTIVE
    assert states == {1: active, 2: ended, 3: ended, 4: active, 5: NEWBORN.state}


def test_the_last_name_counts() -> None:
    faces = fold(
        past((E.RENAMED, 1, (), {"name": "a"}), (E.RENAMED, 1, (), {"name": "b"}), (E.TAUGHT, 2, (), {"name": "c"}))
    )
    assert (faces[1].name, faces[2].name) == ("b", "c")


def test_hidden_and_shown_again() -> None:
    hide: tuple[EventType, int, tuple[int, ...], dict[str, object]] = (E.HIDDEN, 1, (), {})
    show: tuple[EventType, int, tuple[int, ...], dict[str, object]] = (E.HIDDEN, 1, (), {"hidden": False})
    assert fold(past(hide))[1].hidden
    assert not fold(past(hide, show))[1].hidden


def test_undone_merge_never_happened() -> None:
    told = past((E.CONFIRMED, 2, (), {}), (E.MERGED, 1, (2,), {}), (E.UNDONE, None, (), {"event_id": 2}))
    assert fold(told) == {2: Face(ClusterState.ACTIVE)}


def test_events_about_no_kind_change_none() -> None:
    assert fold(past((E.PAUSED, None, (), {}), (E.SHIFT_DETECTED, None, (), {"novelty": 1.0}))) == {}


def test_a_merged_kind_has_ended_whatever_the_agent_says_of_it_later() -> None:
    told = past((E.CONFIRMED, 2, (), {}), (E.MERGED, 1, (2,), {}), (E.REVIVED, 2, (), {}))
    assert fold(told)[2].state is ClusterState.ENDED


def test_a_taught_kind_has_the_name_as_long_as_that_counts() -> None:
    made: dict[str, object] = {"name": "moths", "made": True}
    told = past((E.TAUGHT, 5, (), made), (E.RENAMED, 6, (), {"name": "a"}), (E.TAUGHT, 6, (), {"name": "b"}))
    assert fold(told) == {5: Face(ClusterState.ACTIVE, "moths"), 6: Face(name="b")}
    undone = [PastEvent(4, E.UNDONE, 5, detail={"event_id": 1}), PastEvent(5, E.UNDONE, 6, detail={"event_id": 3})]
    faces = fold([*told, *undone])
    assert faces[5].state is ClusterState.ENDED
    assert faces[6].name == "a"


def test_a_kind_that_people_made_is_there_as_long_as_that_counts() -> None:
    made = past((E.MOVED, 5, (), {"made": True}), (E.DIVIDED, 1, (6,), {}), (E.MOVED, 1, (), {}))
    assert {kind: face.state for kind, face in fold(made).items()} == {
        5: ClusterState.ACTIVE, 6: ClusterState.ACTIVE, 1: ClusterState.PROVISIONAL,
    }  # fmt: skip
    undone = [*made, *past((E.UNDONE, 5, (), {"event_id": 1}))]
    assert fold(replace(event, id=number) for number, event in enumerate(undone, 1))[5].state is ClusterState.ENDED
