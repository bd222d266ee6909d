"""What the read door hands out: frozen rows, named as people name them. No SQL.

Times are aware datetimes in UTC. `None` means that there is no such thing, not that it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.records import ClusterState, EventType, LocationRecord, Vectors, VersionState


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What training needs of a picture.

    Attributes:
        innate_D: float16.
        captured_at: when it was taken, or else its file written.
        place: where it was found first; None where that is not known.
    """

    id: int
    sha256: str
    thumbnail: bytes
    innate_D: Vectors
    captured_at: datetime
    place: LocationRecord | None


@dataclass(frozen=True, slots=True)
class VersionRow:
    version: int
    state: VersionState
    checkpoint: str
    config: dict[str, object]
    created_at: datetime
    published_at: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClusteringRow:
    id: int
    at: datetime
    revision: int
    encoder_version: int
    through_picture: int
    window_size: int
    seconds: float
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class StatusRow:
    """Counts that need no daemon.

    Attributes:
        behind: pictures after the last round's cursor.
        clusters: number of kinds by state, ended ones too.
    """

    pictures: int
    pending: int
    rejected: int
    unassigned: int
    behind: int
    encoder_version: int | None
    building_version: int | None
    clustering_id: int | None
    clusters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A kind as people see it.

    Attributes:
        size: members over the whole archive.
        first_seen, last_seen: when the first and the last member arrived.
        parents: ids it split from.
        coarser: kinds with an equal number belong together one level up.
        exemplars: content hashes.
        statistics: what the last round measured; as of a time, when last anything else of these changed.
    """

    id: int
    name: str
    state: ClusterState
    size: int
    core_size: int
    first_seen: datetime | None
    last_seen: datetime | None
    parents: tuple[int, ...]
    coarser: int | None
    exemplars: tuple[str, ...]
    hidden: bool
    statistics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SizeRow:
    """How many members a kind had from a moment on."""

    cluster_id: int
    at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class EventRow:
    id: int
    at: datetime
    type: EventType
    actor: str
    cluster_id: int | None
    other_ids: tuple[int, ...]
    clustering_id: int | None
    encoder_version: int | None
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A picture, one of the places where it lies, and where it belongs; `id` is None for a rejected file."""

    id: int | None
    sha256: str
    uri: str
    source: str
    captured_at: datetime
    ingested_at: datetime
    status: str
    cluster_id: int | None
    cluster_name: str
    probability: float | None
    is_core: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """Where the map shows a picture; `cluster_id` is None for one that is in no kind."""

    sha256: str
    x: float
    y: float
    cluster_id: int | None


@dataclass(frozen=True, slots=True)
class BelongedRow:
    """Where a picture belonged from a time on; `cluster_id` is None where it was unassigned.

    Attributes:
        actor: who said so.
        encoder_version: of the round that said so; None where it was no round.
    """

    at: datetime
    cluster_id: int | None
    cluster_name: str
    probability: float
    is_core: bool
    actor: str
    encoder_version: int | None


@dataclass(frozen=True, slots=True)
class PictureDetail:
    """One picture in full.

    Attributes:
        uris: where it lies.
        belonged: where it has belonged, oldest first.
        repeats: near copies of it that came and were not learned from.
    """

    picture: PictureRow
    uris: tuple[str, ...]
    belonged: tuple[BelongedRow, ...]
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """The correction by which a picture is where it is."""

    event_id: int
    type: EventType
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StandingRow:
    """What the agent says of a picture, whatever people decided.

    Attributes:
        cluster_id: None: unassigned.
        placed: by people; None where no correction decides.
    """

    cluster_id: int | None
    probability: float
    core: bool
    placed: PlacedRow | None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A picture that changed its kind between two moments; None means unassigned."""

    sha256: str
    uri: str
    was: int | None
    belongs: int | None


@dataclass(frozen=True, slots=True)
class NearKindRow:
    """Another kind, and the cosine of the centres of the two cores in the space of the last round."""

    cluster_id: int
    cluster_name: str
    cosine: float


@dataclass(frozen=True, slots=True)
class ClusterDetail:
    """One kind in full.

    Attributes:
        borderline: its least certain members, least certain first.
        neighbours: the kinds that lie nearest to it now, nearest first; none as of a time.
        children: ids that split from it.
        events: all that happened to it, oldest first.
    """

    cluster: ClusterRow
    borderline: tuple[PictureRow, ...]
    neighbours: tuple[NearKindRow, ...]
    children: tuple[int, ...]
    events: tuple[EventRow, ...]


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One line of an export; the fields are its columns, in order."""

    sha256: str
    uri: str
    source: str
    captured_at: datetime
    ingested_at: datetime
    status: str
    cluster_id: int | None
    cluster_name: str
    probability: float | None
    is_core: bool
    encoder_version: int | None
