"""The timeline of the kinds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree as ET

from agent.colours import colour_of
from agent.timeline import UNDONE_COLOUR, draw_timeline
from storage.records import EventType
from storage.rows import EventRow, SizeRow
from tests.factories import EPOCH

SVG = "{http://www.w3.org/2000/svg}"
DAY = timedelta(days=1)


def event(number: int, type: EventType, kind: int, *others: int, actor: str = "agent") -> EventRow:
    return EventRow(number, EPOCH + number * DAY, type, actor, kind, others, None, None, {})


def of_class(svg: str, name: str) -> list[ET.Element]:
    return [one for one in ET.fromstring(svg).iter() if one.get("class") == name]


def span(band: ET.Element) -> tuple[float, float, float]:
    """First and last x of a lane, and its greatest thickness."""
    points = [tuple(map(float, point.split(","))) for point in band.attrib["points"].split()]
    xs, ys = zip(*points, strict=True)
    return min(xs), max(xs), max(ys) - min(ys)


SIZES = [
    SizeRow(1, EPOCH, 4), SizeRow(1, EPOCH + 2 * DAY, 16), SizeRow(1, EPOCH + 4 * DAY, 16),
    SizeRow(2, EPOCH + 1 * DAY, 4), SizeRow(2, EPOCH + 2 * DAY, 0),
]  # fmt: skip


def test_a_lane_goes_from_the_first_to_the_last_appearance_in_the_colour_of_its_kind() -> None:
    one, two = of_class(draw_timeline(SIZES, [], {}), "lane")
    assert [band.get("fill") for band in (one, two)] == [colour_of(1), colour_of(2)]
    first, last, thick = span(one)
    begins, ends, thin = span(two)
    assert thick == 2 * thin  # the root of four times the size
    assert abs(begins - (first + (last - first) / 4)) <= 1
    assert abs(ends - (first + (last - first) / 2)) <= 1


def test_a_living_kind_goes_on_to_the_moment_that_is_asked_for() -> None:
    one, two = of_class(draw_timeline(SIZES, [], {}, EPOCH + 8 * DAY), "lane")
    assert span(one)[1] == 980
    assert span(two)[1] < 500


def test_events_are_told_and_lineage_is_linked() -> None:
    events = [event(1, EventType.SPLIT, 2, 1), event(2, EventType.ABSORBED, 1, 2), event(3, EventType.RENAMED, 1)]
    svg = draw_timeline(SIZES, events, {1: "moths"})
    assert [link.get("stroke-dasharray") is None for link in of_class(svg, "link")] == [True, False]
    told = [marker.findtext(f"{SVG}title") or "" for marker in of_class(svg, "event")]
    assert told[0] == "2026-01-02 00:00:00 UTC: kind 2 split (1) by agent"
    assert len(told) == 3


def test_what_people_wrote_is_text() -> None:
    name = '<script>"&</script>'
    svg = draw_timeline(SIZES, [event(1, EventType.RENAMED, 1, actor="a\x00<b>")], {1: name})
    assert "<script" not in svg
    assert f"1 {name}" in [one.text for one in ET.fromstring(svg).iter(f"{SVG}text")]


def test_nothing_and_one_moment_can_be_drawn() -> None:
    assert "no kinds yet" in draw_timeline([], [event(1, EventType.PAUSED, 1)], {})
    assert len(of_class(draw_timeline([SizeRow(3, EPOCH, 1)], [], {}), "lane")) == 1
    assert len(of_class(draw_timeline([SizeRow(3, EPOCH, 0)], [], {}), "lane")) == 1


def test_what_was_undone_is_faint_and_says_so() -> None:
    undoing = replace(event(3, EventType.UNDONE, 1, 2, actor="ann"), detail={"event_id": 2})
    redoing = replace(event(4, EventType.UNDONE, 1, 2, actor="ann"), detail={"event_id": 3})
    merge = event(2, EventType.MERGED, 1, 2, actor="ann")
    undone = draw_timeline(SIZES, [merge, undoing], {})
    (link,) = of_class(undone, "link")
    assert link.get("stroke") == UNDONE_COLOUR
    assert (link.findtext(f"{SVG}title") or "").endswith("kind 1 merged (2) by ann, undone later")
    (again,) = of_class(draw_timeline(SIZES, [merge, undoing, redoing], {}), "link")
    assert again.get("stroke") != UNDONE_COLOUR
    assert (again.findtext(f"{SVG}title") or "").endswith("by ann")
