"""The read door: how single pictures stand, by what the agent says of them and by what people have decided."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from storage import journal, opinion
from storage.facts import counting, deciding, followed
from storage.reader import Reader
from storage.records import ClusterState, EventType
from storage.rows import PlacedRow, StandingRow
from storage.schema import assignments, clusters, events, overruled, window
from storage.visible import revision_at


class StandingQueries(Reader):
    """The read door: what is behind a picture's place."""

    def standing(self, picture_id: int) -> StandingRow | None:
        """What the agent says of a picture, and the correction that decides; None before its first round."""
        with self._moment() as connection:
            said = opinion.machine_of(connection, [picture_id])
            if len(said.picture_N) == 0:
                return None
            kind = int(said.cluster_N[0])
            fact = deciding(picture_id, kind, counting(connection))
            placed = None
            if fact is not None:
                event = connection.execute(select(events).where(events.c.id == fact.event_id)).one()
                placed = PlacedRow(event.id, EventType(event.type), event.actor, event.at)
            cluster_id = None if kind == opinion.NONE else kind
            return StandingRow(cluster_id, float(said.probability_N[0]), bool(said.core_N[0]), placed)

    def seen_as(self, cluster_ids: Sequence[int]) -> list[int]:
        """The kinds in which people see what the agent says of these: those that they have merged them into."""
        with self._moment() as connection:
            facts = counting(connection)
        return [followed(kind, facts) for kind in cluster_ids]

    def decided(self) -> set[int]:
        """All pictures that a correction decides."""
        with self._moment() as connection:
            return set(opinion.all_decided(connection))

    def hidden(self) -> set[int]:
        """Kinds that people have hidden."""
        with self._moment() as connection:
            return set(connection.execute(select(clusters.c.id).where(clusters.c.hidden)).scalars())

    def unassigned_of(self, picture_ids: Sequence[int]) -> list[int]:
        """Those of these pictures that a round has looked at and that belong nowhere as people see it, by id."""
        with self._moment() as connection:
            seen = opinion.visible_of(connection, picture_ids)
        return [int(i) for i in seen.picture_N[seen.cluster_N == opinion.NONE]]

    def unsure_beyond(self, below: float, limit: int | None) -> list[int]:
        """Pictures outside the window that a vote put into a kind with less than this probability, least sure first.

        Without those of hidden kinds and those that a correction decides; of each kind at most `limit`.
        """
        found: list[tuple[float, int]] = []
        with self._moment() as connection:
            revision = revision_at(connection, None)
            rows = select(assignments.c.probability, assignments.c.picture_id)
            rows = rows.where(assignments.c.probability < below, assignments.c.core.is_(False))
            rows = rows.where(assignments.c.valid_from <= revision)
            for table in (window, overruled):
                rows = rows.where(assignments.c.picture_id.not_in(select(table.c.picture_id)))
            rows = rows.order_by(assignments.c.probability, assignments.c.picture_id).limit(limit)
            shown = select(clusters.c.id).where(clusters.c.state != ClusterState.ENDED, clusters.c.hidden.is_(False))
            for kind in connection.execute(shown).scalars().all():
                of_kind = rows.where(assignments.c.cluster_id == kind)
                # asked apart, the first half is read from the front of an index
                for still in (assignments.c.valid_to.is_(None), assignments.c.valid_to > revision):
                    found += [(row.probability, row.picture_id) for row in connection.execute(of_kind.where(still))]
        return [picture_id for _, picture_id in sorted(found)]

    def exemplars(self, cluster_id: int) -> list[int]:
        """Pictures that represent a kind, the one in the middle first."""
        with self._moment() as connection:
            kept = connection.execute(select(clusters.c.exemplars).where(clusters.c.id == cluster_id)).scalar()
        return list(kept or [])

    def names(self) -> dict[int, str]:
        """Names of kinds, "" where they have none."""
        with self._moment() as connection:
            return journal.names(connection, None)
