"""The facts that cross the line between the agent and its memory.

Plain frozen records; no SQL, no torch. Times are aware datetimes in UTC. Embeddings are float16, (D,) or (N, D).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading verbs use none of the arrays, and would wait for numpy
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float16]
else:
    Vectors = "NDArray[np.float16]"


class ClusterState(StrEnum):
    PROVISIONAL = "provisional"
    ACTIVE = "active"
    DORMANT = "dormant"
    ENDED = "ended"


class EventType(StrEnum):
    EMERGED = "emerged"
    CONFIRMED = "confirmed"
    SPLIT = "split"
    ABSORBED = "absorbed"
    DORMANT = "dormant"
    REVIVED = "revived"
    DISAPPEARED = "disappeared"
    RENAMED = "renamed"
    MERGED = "merged"
    DIVIDED = "divided"
    MOVED = "moved"
    HIDDEN = "hidden"
    TAUGHT = "taught"
    FORGOTTEN = "forgotten"
    UNDONE = "undone"
    SHIFT_DETECTED = "shift_detected"
    CONSOLIDATED = "consolidated"
    ENCODER_PUBLISHED = "encoder_published"
    SOURCE_OFFLINE = "source_offline"
    SOURCE_ONLINE = "source_online"
    PAUSED = "paused"
    RESUMED = "resumed"


class VersionState(StrEnum):
    BUILDING = "building"
    READY = "ready"
    RETIRED = "retired"


FRAME_MARK = "#frame="
"""Between the uri of a file and the number of a frame in it, from 1 on; the first one has the file's own uri."""


@dataclass(frozen=True, slots=True)
class LocationRecord:
    """One place where a picture's bytes lie."""

    uri: str
    source: str
    size_bytes: int | None = None
    mtime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """A picture on its way into the store: identity, thumbnail, embeddings and the location it came from.

    Attributes:
        innate_D: embedding by the network as it was born.
        learned_D: embedding by each living encoder version (version -> vector); empty at birth.
    """

    sha256: str
    captured_at: datetime
    width_px: int
    height_px: int
    thumbnail: bytes
    innate_D: Vectors
    learned_D: dict[int, Vectors]
    location: LocationRecord


@dataclass(frozen=True, slots=True)
class RejectionRecord:
    """A file that is no picture.

    Attributes:
        sha256: empty where not a byte could be read.
        fatal: its decoder died of it; it counts as known only after some attempts (`storage.arrivals.ATTEMPTS`).
    """

    location: LocationRecord
    sha256: str
    captured_at: datetime
    reason: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `id`, `at` and `revision` are filled in by the store."""

    type: EventType
    cluster_id: int | None = None
    other_ids: tuple[int, ...] = ()
    detail: dict[str, object] = field(default_factory=dict)
    actor: str = "agent"


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A kind as it stands after a round.

    Attributes:
        name: given by people; empty until then.
        parents: ids it split from.
        coarser: the oldest of the kinds that have its parent in the condensed tree (kinds with an equal number belong
            together one level up); None at the top.
        absent_rounds: rounds in a row in which its density was not found.
        last_new_picture: id of the newest picture that joined it and is not more likely elsewhere.
        statistics: what the round measured (persistence, mean probability, ...).
        placed: people have moved, merged or divided pictures by it, so the agent neither ends it nor merges it away.
    """

    id: int
    state: ClusterState
    name: str = ""
    parents: tuple[int, ...] = ()
    coarser: int | None = None
    absent_rounds: int = 0
    last_new_picture: int = 0
    exemplars: tuple[int, ...] = ()
    statistics: dict[str, float] = field(default_factory=dict)
    placed: bool = False

    @property
    def lasts(self) -> bool:
        """A person cares for it: it is never absorbed, and never ends for want of density."""
        return bool(self.name) or self.placed


@dataclass(frozen=True, slots=True)
class Assignments:
    """Who belongs where, as parallel arrays over pictures.

    Attributes:
        picture_N: picture ids, int64.
        cluster_N: cluster ids, int64; -1 means unassigned.
        probability_N: float32 in [0, 1].
        core_N: bool; member by HDBSCAN itself.
    """

    picture_N: NDArray[np.int64]
    cluster_N: NDArray[np.int64]
    probability_N: NDArray[np.float32]
    core_N: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Clustering:
    """One round: everything `Store.add_clustering` makes visible at once.

    Attributes:
        encoder_version: the one version whose embeddings were clustered.
        through_picture: the cursor; every picture up to it has been clustered.
        parameters: what the selection chose, and its scores.
        clusters: kinds that are new or whose record changed in this round.
        assignments: pictures of the window, and those only voted on; with people's corrections folded over them.
        overruled: what the agent says of those of them that a correction decides.
        events: what the agent has to say about it.
        voters: what its votes were made of (`agent.voters`), as plain values; kept until the next round has its own.
        near: kind -> the kinds nearest to it and how near, nearest first; likewise.
    """

    encoder_version: int
    through_picture: int
    window_size: int
    seconds: float
    parameters: dict[str, object]
    clusters: tuple[ClusterRecord, ...]
    assignments: Assignments
    events: tuple[Event, ...]
    overruled: Assignments | None = None
    voters: Mapping[str, object] | None = None
    near: Mapping[int, Sequence[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one training step measured (thinned in the database)."""

    step: int
    loss: float
    align_loss: float
    grad_norm: float
    ewc_ratio: float
    drift: float
    views: int
    learned_through: int
