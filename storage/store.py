"""The write door: one method is one transaction, and what a method returns is committed.

Rounds are the exception: they are written in pieces and become visible by one row (`storage.revisions`).
The door knows nothing about networks, sources or how kinds are found.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, delete, func, insert, select

from storage import arrivals, corrections, counters, forgetting, journal, placement, placing, states, teaching, versions
from storage.chunks import chunks
from storage.engine import scrub, writing
from storage.home import settle
from storage.records import (
    Assignments,
    Clustering,
    ClusterRecord,
    Event,
    LocationRecord,
    PictureRecord,
    RejectionRecord,
    StepRecord,
    Vectors,
)
from storage.reveal import Change
from storage.revisions import RevisionWriter
from storage.schema import learner_steps
from storage.teaching import Hints, Taught

STEPS_KEPT = 20_000
NO_HINTS = Hints()


def _stays_out(record: PictureRecord) -> RejectionRecord:
    return RejectionRecord(record.location, "", record.captured_at, "a person has had this picture forgotten")


def _last_came(pictures: Sequence[PictureRecord], gone: Collection[str]) -> set[str]:
    """Places to which, of all these pictures, one that was forgotten came last."""
    last = {record.location.uri: record.sha256 for record in pictures}
    return {uri for uri, sha256 in last.items() if sha256 in gone}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Everything that can be written.

    Args:
        engine: from `storage.engine.open_engine`; may be shared with readers and other threads.
        clock: the time that is stored, aware.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now) -> None:
        self._engine = writing(engine)
        self._clock = clock
        self._revisions = RevisionWriter(self._engine, clock)

    # ---------------------------------------------------------------- arrivals

    def add(
        self,
        pictures: Sequence[PictureRecord],
        repeats: Sequence[tuple[str, LocationRecord]] = (),
        rejections: Sequence[RejectionRecord] = (),
    ) -> list[int]:
        """Store arrivals; returning is the acknowledgement.

        Content that is stored already, or twice in the batch, only gains a location. A place where other content
        lies now is closed for the old picture. Where a batch has both a picture and a rejection for one place, and does
        not tell by its order which came last, the picture lies there.

        Args:
            pictures: in the order in which they came.
            repeats: content hashes that are stored, or in `pictures`, and where they were seen; unknown ones are left
                out, because the next scan brings the file again.

        Content that people have forgotten is rejected.

        Returns:
            The id of each of `pictures`, in order; those that were forgotten are left out.
        """
        at = self._clock()
        with self._engine.begin() as connection:
            gone = forgetting.kept_out(connection, {record.sha256 for record in pictures})
            overtaken = _last_came(pictures, gone)
            rejections = [*rejections, *(_stays_out(record) for record in pictures if record.sha256 in gone)]
            pictures = [record for record in pictures if record.sha256 not in gone]
            ids = arrivals.add_pictures(connection, pictures, at)
            again = arrivals.ids_by_sha(connection, {sha256 for sha256, _ in repeats} - ids.keys())
            fresh = [(ids[record.sha256], record.location) for record in pictures]
            known = {**again, **ids}
            repeated = [(known[sha256], location) for sha256, location in repeats if sha256 in known]
            taken = {location.uri for _, location in fresh} - overtaken | {location.uri for _, location in repeated}
            arrivals.add_locations(connection, [*fresh, *repeated], at)
            arrivals.add_rejections(connection, [one for one in rejections if one.location.uri not in taken], at)
        return [ids[record.sha256] for record in pictures]

    def note_repeats(self, counts: Mapping[str, int]) -> None:
        """sha256 -> near copies of that picture that came so far; a lower number than the one before changes nothing.

        So what is learned again after a restart is not counted twice.
        """
        if not counts:
            return
        with self._engine.begin() as connection:
            arrivals.note_repeats(connection, counts)

    def mark_missing(self, uris: Sequence[str]) -> None:
        """Nothing lies at these places any more; their pictures stay."""
        with self._engine.begin() as connection:
            arrivals.mark_missing(connection, uris, self._clock())

    # ---------------------------------------------------------------- encoder versions

    def ensure_born(self, config: Mapping[str, object]) -> int:
        """Version 1, the network as it was born, ready; `config` is kept the first time."""
        with self._engine.begin() as connection:
            version = versions.ensure_born(connection, config, self._clock())
        self._delete_retired_vectors()
        return version

    def begin_version(self, checkpoint: str, config: Mapping[str, object]) -> int:
        """A new version in state `building`.

        Raises:
            StorageError: another version is being built.
        """
        with self._engine.begin() as connection:
            return versions.begin(connection, checkpoint, config, self._clock())

    def add_embeddings(self, version: int, picture_ids: Sequence[int], learned_ND: Vectors) -> None:
        """Vectors (N, D) of pictures under a living version above 1; vectors that are stored already stay.

        Raises:
            NotFound: there is no such version.
            StorageError: the version is retired, or version 1.
        """
        with self._engine.begin() as connection:
            versions.add_vectors(connection, version, picture_ids, learned_ND)

    def publish_version(self, version: int) -> None:
        """`building` becomes `ready`; the one before is retired and its vectors are deleted.

        Raises:
            StorageError: the version is not being built.
        """
        with self._engine.begin() as connection:
            versions.publish(connection, version, self._clock())
        self._delete_retired_vectors()

    def abandon_version(self, version: int) -> None:
        """Remove a version that never became ready, with its vectors; its number is not given again.

        Raises:
            StorageError: the version is not being built.
        """
        with self._engine.begin() as connection:
            versions.require_building(connection, version)
        versions.delete_vectors(self._engine, version)
        with self._engine.begin() as connection:
            versions.remove(connection, version)

    def _delete_retired_vectors(self) -> None:
        with self._engine.connect() as connection:
            retired = versions.retired_with_vectors(connection)
        for version in retired:
            versions.delete_vectors(self._engine, version)

    # ---------------------------------------------------------------- kinds

    def allocate_clusters(self, n: int) -> range:
        """`n` ids that no kind ever had."""
        with self._engine.begin() as connection:
            first = counters.take(connection, "next_cluster", n)
        return range(first, first + n)

    def add_clustering(
        self,
        clustering: Clustering,
        *,
        base: int | None = None,
        kept: Mapping[str, object] | None = None,
        window: Sequence[int] | None = None,
    ) -> int:
        """One round, visible all at once; pictures up to its cursor that it leaves out become unassigned.

        Args:
            base: the revision that the round was worked out on (`Queries.revision`).
            kept: values under keys, as `set_state` keeps them, that count from the same moment on.
            window: pictures that the round looked at; None where that is left as it was.

        Returns:
            The clustering's id.

        Raises:
            Outdated: people have corrected something since `base`; nothing became visible.
            StorageError: assignments name kinds that do not exist.
        """
        change = Change(
            clustering.assignments,
            clustering.clusters,
            clustering.events,
            clustering=clustering,
            overruled=clustering.overruled,
            kept=kept or {},
            window=window,
        )
        clustering_id = self._revisions.write(change, base).clustering_id
        assert clustering_id is not None
        return clustering_id

    def revise(
        self,
        assignments: Assignments,
        clusters: Sequence[ClusterRecord] = (),
        events: Sequence[Event] = (),
        *,
        actor: str = "agent",
        base: int | None = None,
        overruled: Assignments | None = None,
        kept: Mapping[str, object] | None = None,
    ) -> int:
        """A change between rounds, visible all at once: votes for new pictures, and for those beyond the window.

        Args:
            overruled: what the agent says of those pictures that a correction decides.
            kept: as in `add_clustering`.

        Returns:
            The revision's id.

        Raises:
            Outdated, StorageError: as `add_clustering`.
        """
        change = Change(assignments, tuple(clusters), tuple(events), actor, overruled=overruled, kept=kept or {})
        return self._revisions.write(change, base).revision

    def set_layout(self, version: int, picture_ids: Sequence[int], xy_N2: NDArray[np.float32]) -> None:
        """Where the map shows these pictures from now on, by an encoder version; the others stay where they were.

        One transaction: give a few thousand at a time. Pictures that are not stored are left out.

        Raises:
            NotFound: there is no such version.
        """
        places = {int(i): (float(x), float(y)) for i, (x, y) in zip(picture_ids, xy_N2, strict=True)}
        with self._engine.begin() as connection:
            versions.require(connection, version)
            placement.put_layout(connection, version, places)

    # ---------------------------------------------------------------- people's corrections

    def rename(self, cluster_id: int, name: str, actor: str) -> int:
        """A kind gets a name, or loses it where `name` is empty; returns the event's id.

        Raises:
            NotFound, Refused: as `storage.corrections.rename`.
        """
        with self._engine.begin() as connection:
            return corrections.rename(connection, cluster_id, name, actor, self._clock())

    def hide(self, cluster_id: int, actor: str, *, hidden: bool = True) -> int:
        """A kind is left out of what people look at, or shown again; returns the event's id.

        Raises:
            NotFound, Refused: as `storage.corrections.hide`.
        """
        with self._engine.begin() as connection:
            return corrections.hide(connection, cluster_id, hidden, actor, self._clock())

    def undo(self, event_id: int, actor: str) -> int:
        """A correction counts no more; returns the event's id.

        Raises:
            NotFound, Refused: as `storage.corrections.undo` and `storage.placing.undo`.
        """
        with self._engine.begin() as connection:
            if not placing.places(connection, event_id):
                return corrections.undo(connection, event_id, actor, self._clock())
        return self._revisions.write_at_once(lambda c: placing.undo(c, event_id, actor)).event_ids[0]

    def move(self, shas: Sequence[str], to: int | None, actor: str) -> tuple[int, int]:
        """Pictures belong to a kind, or to a new one (`to` is None) from now on; the event's id, and the kind's.

        Raises:
            NotFound, Refused: as `storage.placing.move`.
        """
        done = self._revisions.write_at_once(lambda c: placing.move(c, shas, to, actor))
        return done.event_ids[0], done.placed_in

    def merge(self, cluster_ids: Sequence[int], into: int, actor: str) -> int:
        """Kinds end, and what is in them, now and later, belongs to `into`; the event's id.

        Raises:
            NotFound, Refused: as `storage.placing.merge`.
        """
        return self._revisions.write_at_once(lambda c: placing.merge(c, cluster_ids, into, actor)).event_ids[0]

    def divide(self, cluster_id: int, shas: Sequence[str], actor: str) -> tuple[int, int]:
        """Pictures of a kind become a kind of their own; the event's id, and the new kind's.

        Raises:
            NotFound, Refused: as `storage.placing.divide`.
        """
        done = self._revisions.write_at_once(lambda c: placing.divide(c, cluster_id, shas, actor))
        return done.event_ids[0], done.placed_in

    def teach(
        self, name: str, shas: Sequence[str], actor: str, *, hints: Hints = NO_HINTS, rename: bool = False
    ) -> Taught:
        """Pictures are of the kind that is called `name`, which is found, named or made for them.

        Raises:
            NotFound, Refused: as `storage.teaching.teach`.
        """
        planned: list[Taught] = []

        def plan(connection: Connection) -> Change:
            change, taught = teaching.teach(connection, name, shas, hints, actor, rename=rename)
            planned.append(taught)
            return change

        done = self._revisions.write_at_once(plan)
        return replace(planned[-1], event_id=done.event_ids[0])

    def forget(self, shas: Sequence[str], actor: str) -> int:
        """Remove pictures for good; the event's id. Copies of them stay out, and bytes on the disk wait for `scrub`.

        Raises:
            NotFound, Refused: as `storage.forgetting.forget`.
        """
        with self._engine.begin() as connection:
            return forgetting.forget(connection, shas, actor, self._clock())

    def scrub(self) -> bool:
        """Remove the bytes of what was forgotten from the disk, where that is still due.

        It is due from the transaction that forgets until it has been done, whoever is killed in between.

        Returns:
            False where a reader is in the way; it stays due then, and is to be tried again later.
        """
        with self._engine.connect() as connection:
            due = states.read(connection, states.SCRUB)
        if due is None:
            return True
        if not scrub(self._engine, forgetting.TELLING):
            return False
        with self._engine.begin() as connection:
            if states.read(connection, states.SCRUB) == due:  # else more was forgotten meanwhile
                states.put(connection, states.SCRUB, None, self._clock())
        return True

    # ---------------------------------------------------------------- small facts

    def add_events(self, events: Sequence[Event]) -> list[int]:
        """Append events and return their ids; `renamed`, `hidden` and `undone` take effect at once."""
        with self._engine.begin() as connection:
            return journal.append(connection, events, self._clock())

    def add_steps(self, steps: Sequence[StepRecord]) -> None:
        """What training steps measured. Beyond 20,000 rows, every second one of the older ones is dropped."""
        if not steps:
            return
        at = self._clock()
        newest = {step.step: step for step in steps}
        fields = StepRecord.__dataclass_fields__
        with self._engine.begin() as connection:
            for some in chunks(list(newest)):
                # a restart repeats the steps after its checkpoint
                connection.execute(delete(learner_steps).where(learner_steps.c.step.in_(some)))
            rows = [{"at": at, **{name: getattr(step, name) for name in fields}} for step in newest.values()]
            connection.execute(insert(learner_steps), rows)
            if connection.execute(select(func.count()).select_from(learner_steps)).scalar_one() > STEPS_KEPT:
                position = func.row_number().over(order_by=learner_steps.c.step).label("position")
                old = select(learner_steps.c.step, position).subquery()
                every_second = select(old.c.step).where(old.c.position % 2 == 0, old.c.position < STEPS_KEPT)
                connection.execute(delete(learner_steps).where(learner_steps.c.step.in_(every_second)))

    def settle(self, home: str, folders: Sequence[str]) -> int:
        """Take note of where the data directory lies; how many places of files in it have followed (`storage.home`)."""
        with self._engine.begin() as connection:
            return settle(connection, home, folders, self._clock())

    def set_state(self, key: str, value: object) -> None:
        """Keep one JSON value under a key."""
        self.set_states({key: value})

    def set_states(self, values: Mapping[str, object]) -> None:
        """Keep JSON values under their keys, all in one transaction."""
        at = self._clock()
        with self._engine.begin() as connection:
            for key, value in values.items():
                states.put(connection, key, value, at)
