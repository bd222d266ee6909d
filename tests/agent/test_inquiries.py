"""Whose members beyond the window are to be asked, after round upon round."""

from __future__ import annotations

from agent.inquiries import Inquiry, after_round, as_values, of_values, still_there
from agent.lineage import LineageResult
from storage.records import Event, EventType
from storage.states import BEYOND
from tests.factories import assign

SPLIT, ABSORBED, DISAPPEARED = EventType.SPLIT, EventType.ABSORBED, EventType.DISAPPEARED


def told(*events: Event, heirs: dict[int, int] | None = None) -> LineageResult:
    return LineageResult((), assign({}), events, {}, heirs or {})


def test_a_round_in_which_nothing_changed_leaves_the_list_as_it_was() -> None:
    pending = (Inquiry(1, (1, 5), 30, 90),)
    assert after_round(pending, told(), 120) == pending


def test_what_a_round_changed_is_asked_from_the_first_picture_on() -> None:
    events = (
        Event(SPLIT, 1, (5, 6)),
        Event(SPLIT, 2, (7, 8), {"ended": True}),
        Event(DISAPPEARED, 3),
        Event(ABSORBED, 4, (9,)),
        Event(EventType.EMERGED, 10),
    )
    assert set(after_round((), told(*events, heirs={4: 9}), 90)) == {
        Inquiry(1, (1, 5, 6), 0, 90),
        Inquiry(2, (7, 8), 0, 90),
        Inquiry(3, (), 0, 90),
        Inquiry(4, (9,), 0, 90),
    }


def test_parts_that_people_unmade_are_left_out() -> None:
    pending = (Inquiry(1, (7,), 30, 90), Inquiry(2, (7, 1), 0, 90))
    assert still_there(pending, {1, 2}) == (Inquiry(1, (), 30, 90), Inquiry(2, (1,), 0, 90))


def test_parts_that_went_themselves_are_followed() -> None:
    pending = (Inquiry(1, (1, 5, 6, 7), 30, 90),)
    events = (Event(ABSORBED, 5, (9,)), Event(SPLIT, 6, (10,)), Event(DISAPPEARED, 7))
    (first, *_) = after_round(pending, told(*events, heirs={5: 9}), 120)
    assert first == Inquiry(1, (1, 9, 6, 10), 30, 90)


def test_a_kind_that_changes_again_is_asked_again_about_both() -> None:
    pending = (Inquiry(1, (1, 5), 30, 90), Inquiry(2, (2, 6), 0, 90))
    assert after_round(pending, told(Event(SPLIT, 1, (7,))), 120) == (
        Inquiry(1, (1, 7, 5), 0, 120),
        Inquiry(2, (2, 6), 0, 90),
    )
    absorbed = after_round(pending, told(Event(ABSORBED, 1, (9,)), heirs={1: 9}), 120)
    assert absorbed[0] == Inquiry(1, (9, 5), 0, 120)
    gone = after_round(pending, told(Event(DISAPPEARED, 1)), 120)
    assert gone[0] == Inquiry(1, (), 0, 120)


def test_the_list_survives_being_kept() -> None:
    pending = (Inquiry(1, (1, 5), 30, 90), Inquiry(3, (), 0, 90))
    assert of_values(as_values(pending)[BEYOND]) == pending
    assert of_values(None) == ()
