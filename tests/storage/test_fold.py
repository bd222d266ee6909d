"""What events say about a kind's state and name."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import journal
from storage.engine import open_engine
from storage.fold import NEWBORN, PEOPLES, STATE_OF_ID, Face, PastEvent, called, fold
from storage.migrate import migrate
from storage.records import ClusterState, Event, EventType
from storage.store import Store

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


def test_a_name_that_a_merge_carried_over_goes_when_the_merge_is_undone() -> None:
    merged = past((E.RENAMED, 2, (), {"name": "a"}), (E.MERGED, 1, (2,), {}), (E.MERGED, 1, (3,), {}))
    assert fold(merged)[1].name == "a"
    assert fold([*merged, PastEvent(4, E.UNDONE, 1, detail={"event_id": 2})])[1].name == ""


def test_a_merge_carries_the_name_that_counts_for_its_kind_and_no_other() -> None:
    named: tuple[EventType, int, tuple[int, ...], dict[str, object]] = (E.RENAMED, 2, (), {"name": "a"})
    carried: tuple[EventType, int, tuple[int, ...], dict[str, object]] = (E.MERGED, 1, (2,), {"name": "a"})
    assert fold(past(carried, named))[1].name == "a"
    assert fold(past(named, carried, (E.UNDONE, 2, (), {"event_id": 1})))[1].name == ""
    assert fold(past(named, carried, (E.RENAMED, 2, (), {"name": "b"}), (E.MERGED, 3, (1,), {})))[3].name == "b"
    assert fold(past(named, carried, (E.MERGED, 3, (2,), {})))[3].name == ""
    assert fold(past(named, carried, (E.RENAMED, 1, (), {"name": ""})))[1].name == ""
    assert fold(past((E.RENAMED, 1, (), {"name": ""}), named, carried))[1].name == "a"
    there_and_back = past(named, carried, (E.MERGED, 2, (1,), {}), (E.MERGED, 3, (2,), {}))
    assert fold(there_and_back)[3].name == "a"


def test_of_several_names_none_is_carried() -> None:
    told = past((E.RENAMED, 2, (), {"name": "a"}), (E.RENAMED, 3, (), {"name": "b"}), (E.MERGED, 1, (2, 3), {}))
    assert called(told).of == {2: "a", 3: "b"}
    assert called(told).contested == {3: (1, {2: "a", 3: "b"})}


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


# -------------------------------------------------------------------------- read from the store

HAPPENED = st.lists(
    st.tuples(st.sampled_from([t for t in E if t in {*STATE_OF_ID, *PEOPLES, E.EMERGED, E.SPLIT}]), st.integers(1, 5)),
    max_size=25,
)


def told_at_random(type_: EventType, kind: int, number: int, target: int) -> Event:
    """An event as the store keeps it; an `undone` takes back `target`."""
    other = kind % 5 + 1
    details: dict[EventType, dict[str, object]] = {
        E.SPLIT: {"ended": True} if number % 2 else {},
        E.RENAMED: {"name": f"name {number}"},
        E.TAUGHT: {"name": f"taught {number}", "made": bool(number % 2)},
        E.MOVED: {"made": bool(number % 2)},
        E.UNDONE: {"event_id": target},
    }
    others = (other,) if type_ in (E.SPLIT, E.MERGED, E.DIVIDED, E.ABSORBED) else ()
    return Event(type_, None if type_ is E.UNDONE else kind, others, details.get(type_, {}))


def all_told(happened: list[tuple[EventType, int]]) -> list[Event]:
    """The events, numbered from one; an `undone` takes back what a person did last, as nothing else can be undone."""
    told, target = [], 0
    for number, (type_, kind) in enumerate(happened, start=1):
        told.append(told_at_random(type_, kind, number, target))
        target = number if type_ in PEOPLES else target
    return told


@given(happened=HAPPENED)
@settings(max_examples=60, deadline=None)
def test_states_as_of_a_time_are_those_of_all_that_happened(happened: list[tuple[EventType, int]]) -> None:
    """Only the decisive events are read; folding all of them says the same."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/taxon.db")
        migrate(engine)
        store = Store(engine)
        store.ensure_born({})
        store.add_events(all_told(happened))
        now = datetime.now(UTC) + timedelta(seconds=1)
        with engine.connect() as connection:
            everything = fold(journal.read_past(connection, until=now))
            faces = journal.faces(connection, now)
            for kind in range(1, 6):
                expected = everything.get(kind, NEWBORN)
                assert faces.get(kind, NEWBORN) == expected
                assert journal.faces(connection, now, kind).get(kind, NEWBORN) == expected
                assert journal.names(connection, now).get(kind, "") == expected.name
        engine.dispose()
