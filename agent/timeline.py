"""The lineage of the kinds as an SVG: a lane for each, as wide as it was big. Knows neither the store nor files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from agent.colours import colour_of
from storage.fold import PastEvent, undone
from storage.records import EventType
from storage.rows import EventRow, SizeRow

WIDTH_PX, LEFT_PX, TOP_PX, LANE_PX, RIGHT_PX = 1000, 190, 40, 34, 20
THICK_PX, THIN_PX = 28.0, 2.0
LINKING = (EventType.SPLIT, EventType.ABSORBED, EventType.MERGED, EventType.DIVIDED)
LABEL_LIMIT = 24
UNDONE_COLOUR = "#c8c8c8"


def draw_timeline(
    sizes: Sequence[SizeRow], events: Sequence[EventRow], names: Mapping[int, str], until: datetime | None = None
) -> str:
    """An SVG document.

    Args:
        sizes: by kind and then by time; a kind has a lane from its first row to its last, or to the end while it has
            members.
        events: those of kinds without a lane are left out.
        names: of the kinds that have one.
        until: where time ends; without it, with the last row or event.
    """
    lanes: dict[int, list[SizeRow]] = {}
    for row in sizes:
        lanes.setdefault(row.cluster_id, []).append(row)
    height_px = TOP_PX + LANE_PX * max(1, len(lanes)) + 10
    svg = ET.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH_PX} {height_px}",
        width=str(WIDTH_PX),
        height=str(height_px),
    )
    svg.set("font-family", "sans-serif")
    ET.SubElement(svg, "rect", width="100%", height="100%", fill="white")
    if not lanes:
        _text(svg, 10, 24, "no kinds yet")
        return ET.tostring(svg, encoding="unicode")
    _Drawing(svg, lanes, events, names, until).draw()
    return ET.tostring(svg, encoding="unicode")


class _Drawing:
    """One timeline: where times and kinds lie, and what is drawn there."""

    def __init__(
        self,
        svg: ET.Element,
        lanes: Mapping[int, Sequence[SizeRow]],
        events: Sequence[EventRow],
        names: Mapping[int, str],
        until: datetime | None,
    ) -> None:
        self.svg, self.lanes, self.names = svg, lanes, names
        self.events = [event for event in events if event.cluster_id in lanes]
        self.no_more = undone([PastEvent(e.id, e.type, e.cluster_id, e.other_ids, e.detail) for e in events])
        times = [row.at for rows in lanes.values() for row in rows] + [event.at for event in self.events]
        self.first, self.last = min(times), max(times) if until is None else max(*times, until)
        self.biggest = max(1, *(row.size for rows in lanes.values() for row in rows), 1)
        self.middle = {kind: TOP_PX + LANE_PX * (lane + 0.5) for lane, kind in enumerate(lanes)}

    def draw(self) -> None:
        for x, at, anchor in ((LEFT_PX, self.first, "start"), (WIDTH_PX - RIGHT_PX, self.last, "end")):
            _text(self.svg, x, 20, f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", anchor)
        for kind, rows in self.lanes.items():
            self._lane(kind, rows)
        for event in self.events:
            if event.type in LINKING:
                self._links(event)
        for event in self.events:
            self._marker(event)

    def _x(self, at: datetime) -> float:
        span_s = (self.last - self.first).total_seconds()
        share = (at - self.first).total_seconds() / span_s if span_s else 0.0
        return round(LEFT_PX + share * (WIDTH_PX - LEFT_PX - RIGHT_PX), 1)

    def _lane(self, kind: int, rows: Sequence[SizeRow]) -> None:
        """A band whose thickness goes with the root of the size, so that small kinds are seen beside big ones."""
        middle = self.middle[kind]
        label = f"{kind} {self.names.get(kind, '')}".strip()
        _text(self.svg, 8, middle + 4, label if len(label) <= LABEL_LIMIT else f"{label[: LABEL_LIMIT - 1]}…")
        columns = {round(self._x(row.at)): row.size for row in rows}  # one size a pixel, however many rounds there were
        if rows[-1].size:
            columns.setdefault(round(self._x(self.last)), rows[-1].size)
        edge: list[tuple[float, float]] = []
        before = 0
        for x, size in columns.items():
            if edge:
                edge.append((x, self._half(before)))
            edge.append((x, self._half(size)))
            before = size
        if len(columns) == 1:
            edge.append((edge[0][0] + THIN_PX, edge[0][1]))
        outline = [(x, middle - half) for x, half in edge] + [(x, middle + half) for x, half in reversed(edge)]
        points = " ".join(f"{x:g},{y:.1f}" for x, y in outline)
        band = ET.SubElement(self.svg, "polygon", points=points, fill=colour_of(kind))
        band.set("class", "lane")
        ET.SubElement(band, "title").text = f"kind {label}: {rows[-1].size} pictures at last"

    def _half(self, size: int) -> float:
        return max(THIN_PX, THICK_PX * math.sqrt(size / self.biggest)) / 2 if size else 0.0

    def _links(self, event: EventRow) -> None:
        assert event.cluster_id is not None
        x = self._x(event.at)
        for other in event.other_ids:
            if other in self.middle and other != event.cluster_id:
                start, end = self.middle[event.cluster_id], self.middle[other]
                line = ET.SubElement(self.svg, "line", x1=f"{x:g}", x2=f"{x:g}", y1=f"{start:g}", y2=f"{end:g}")
                line.set("class", "link")
                line.set("stroke", UNDONE_COLOUR if event.id in self.no_more else "#333333")
                line.set("stroke-width", "1.5")
                if event.type in (EventType.ABSORBED, EventType.MERGED):
                    line.set("stroke-dasharray", "4 3")
                ET.SubElement(line, "title").text = self._told(event)

    def _marker(self, event: EventRow) -> None:
        assert event.cluster_id is not None
        x, y = self._x(event.at), self.middle[event.cluster_id]
        dot = ET.SubElement(self.svg, "circle", cx=f"{x:g}", cy=f"{y:g}", r="4", fill="white", stroke="black")
        dot.set("class", "event")
        ET.SubElement(dot, "title").text = self._told(event)

    def _told(self, event: EventRow) -> str:
        others = f" ({', '.join(map(str, event.other_ids))})" if event.other_ids else ""
        actor = "".join(letter for letter in event.actor if letter.isprintable())  # XML has no place for the others
        at = f"{event.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        later = ", undone later" if event.id in self.no_more else ""
        return f"{at}: kind {event.cluster_id} {event.type}{others} by {actor}{later}"


def _text(parent: ET.Element, x: float, y: float, text: str, anchor: str = "start") -> None:
    element = ET.SubElement(parent, "text", x=f"{x:g}", y=f"{y:g}")
    element.set("font-size", "12")
    element.set("text-anchor", anchor)
    element.text = text
