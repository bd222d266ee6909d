from __future__ import annotations

from agent.sources.outages import Outages, still_away
from storage.records import EventType

OFF, ON = EventType.SOURCE_OFFLINE, EventType.SOURCE_ONLINE


def told(outages: Outages) -> list[tuple[EventType, object, object]]:
    return [(event.type, event.detail["source"], event.detail.get("reason")) for event in outages.take()]


def test_an_outage_is_two_events_however_often_it_is_tried() -> None:
    outages = Outages()
    outages.note("front", "online", "")
    for reason in ("no answer in time", "connection refused"):
        outages.note("front", "offline", reason)
    outages.note("back", "degraded", "the disk is full")
    assert told(outages) == [(OFF, "front", "no answer in time")]
    outages.note("front", "degraded", "")
    outages.note("front", "online", "")
    assert told(outages) == [(ON, "front", None)]
    assert told(outages) == []


def test_an_outage_that_another_agent_told_of_ends_once() -> None:
    past: list[tuple[EventType, dict[str, object]]] = [
        (OFF, {"source": "a"}),
        (OFF, {"source": "b"}),
        (ON, {"source": "a"}),
    ]
    assert still_away(past) == {"b"}
    outages = Outages(still_away(past))
    outages.note("b", "offline", "again")
    outages.note("b", "online", "")
    outages.note("a", "online", "")
    assert told(outages) == [(ON, "b", None)]
