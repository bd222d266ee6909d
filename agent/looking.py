"""Questions about single pictures, answered from stored vectors: which are most like it.

Between storage and the pure modules that compare; imports no torch and reads the archive a page at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.similar import Centres, MostAlike, Piece, centres_of
from agent.voters import Voters
from storage.errors import NotFound
from storage.queries import BORN, Queries
from storage.records import Vectors
from storage.states import VOTERS


@dataclass(frozen=True, slots=True)
class Subject:
    """The picture that is asked about; `picture_id` is None where it is not stored, `learned_D` where it has none."""

    picture_id: int | None
    sha256: str
    version: int
    innate_D: Vectors
    learned_D: Vectors | None


@dataclass(frozen=True, slots=True)
class NearRow:
    """A picture that is like another, where it lies and where it belongs."""

    sha256: str
    cosine: float
    cluster_id: int | None
    cluster_name: str
    status: str
    uri: str


def stored_subject(queries: Queries, picture_id: int) -> Subject:
    """A stored picture under the ready version."""
    version = queries.ready_version()
    _, innate_1D = queries.innate([picture_id])
    _, _, learned_1D = queries.embeddings([picture_id], version)
    learned_D = learned_1D[0] if learned_1D is not None and len(learned_1D) else None
    return Subject(picture_id, queries.by_id([picture_id])[picture_id].sha256, version, innate_1D[0], learned_D)


def nearest(queries: Queries, subject: Subject, count: int) -> list[NearRow]:
    """The stored pictures most like one, most alike first; all are compared, and memory holds a page of them."""
    centres = _centres(queries, subject.version)
    search = MostAlike(centres, subject.innate_D, subject.learned_D, count, subject.picture_id)
    alike = search.over(Piece(*page) for page in queries.archive(subject.version))
    rows = queries.by_id(alike.ids_M.tolist())
    return [
        NearRow(row.sha256, cosine, row.cluster_id, row.cluster_name, row.status, row.uri)
        for picture_id, cosine in zip(alike.ids_M.tolist(), alike.cosine_M.tolist(), strict=True)
        if (row := rows.get(picture_id)) is not None
    ]


def voters_of(queries: Queries) -> tuple[Voters, int]:
    """What the last round's votes were made of, and the round's number.

    Raises:
        NotFound: there was none yet that kept it.
    """
    kept = queries.state(VOTERS)
    if not isinstance(kept, dict):
        raise NotFound("there was no round yet whose votes could be explained; `recluster` does one")
    return Voters.of_state(kept), int(kept["clustering_id"])


def _centres(queries: Queries, version: int) -> Centres:
    """Those of the last round's space, or of pictures from all over the archive where it had another version."""
    weight = 1.0
    if queries.state(VOTERS) is not None:
        voters, _ = voters_of(queries)
        if voters.version == version:
            return Centres(voters.space.innate_mean_D, voters.space.learned_mean_D, voters.space.innate_weight)
        weight = 1.0 if version == BORN else voters.innate_weight
    return centres_of(Piece(*queries.spread(version)), weight)
