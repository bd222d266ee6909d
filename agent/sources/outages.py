"""Events about sources that went away and came back: one each, however often they are tried in between.

Sources say how they are from their own threads; the database is written to by whoever calls `take`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from agent.sources.protocol import Health
from storage.records import Event, EventType


class Outages:
    """Turns what sources say of their health into events.

    Args:
        away: sources whose outage was told and not its end, perhaps by an agent before this one.
    """

    def __init__(self, away: Iterable[str] = ()) -> None:
        self._away = set(away)
        self._untold: list[Event] = []
        self._lock = threading.Lock()

    def note(self, source: str, health: Health, detail: str) -> None:
        """A source is well, handicapped or away; may be said again and again."""
        with self._lock:
            away = health == "offline"
            if away == (source in self._away):
                return
            self._away ^= {source}
            happened = EventType.SOURCE_OFFLINE if away else EventType.SOURCE_ONLINE
            said = {"source": source, "reason": detail} if detail else {"source": source}
            self._untold.append(Event(happened, detail=dict(said)))

    def take(self) -> list[Event]:
        """Events that nobody has taken yet, oldest first."""
        with self._lock:
            untold, self._untold = self._untold, []
            return untold


def still_away(happened: Iterable[tuple[EventType, dict[str, object]]]) -> set[str]:
    """Sources whose last event, of those given oldest first with their details, says that they are away."""
    away: set[str] = set()
    for kind, detail in happened:
        source = str(detail.get("source", ""))
        if kind is EventType.SOURCE_OFFLINE:
            away.add(source)
        elif kind is EventType.SOURCE_ONLINE:
            away.discard(source)
    return away
