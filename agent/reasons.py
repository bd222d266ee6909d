"""Why a picture is where it is: who voted, for what, by how much, and what people have decided.

Between storage and `agent.evidence`. What the last round found is read, not found again, so that the answer is the
round's; the vectors of the window's observations are read a part at a time. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.calibration import stated
from agent.evidence import Ballot, Evidence, core_distance, evidence
from agent.foreign import apart
from agent.looking import Subject, voters_of
from agent.space import Points
from agent.voters import by_kind
from storage.errors import NotFound
from storage.queries import BORN, Queries
from storage.records import Vectors
from storage.rows import PictureRow, PlacedRow, StandingRow

# Observations whose vectors are read at a time.
PART = 2_048
# Exemplars of its kind that are told.
EXEMPLARS = 5
# Votes below this are not told.
TOLD = 0.005


@dataclass(frozen=True, slots=True)
class KindVote:
    """A kind, and the share of the votes that it got."""

    cluster_id: int
    cluster_name: str
    share: float


@dataclass(frozen=True, slots=True)
class VoterRow:
    """A neighbour that voted.

    Attributes:
        cluster_id: where it belongs as people see it; None where nowhere.
        core: whether HDBSCAN itself put it there.
        cosine: to the picture that is explained, in the space of the round.
        weight: what it adds to the votes for the winner.
    """

    sha256: str
    cosine: float
    weight: float
    cluster_id: int | None
    cluster_name: str
    core: bool
    uri: str


@dataclass(frozen=True, slots=True)
class ExemplarRow:
    """A picture that represents the kind, and its cosine to the one that is explained."""

    sha256: str
    cosine: float
    uri: str


@dataclass(frozen=True, slots=True)
class SaidRow:
    """What the agent itself says; `cluster_id` is None for nothing."""

    cluster_id: int | None
    cluster_name: str
    probability: float
    core: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a picture is where it is.

    Attributes:
        status: as of `PictureRow`, or `new` where it is not stored.
        placed: the correction that decides; None where it is where the agent says.
        said: what the agent says, whatever people decided.
        clustering_id, encoder_version: of the round whose votes these are.
        in_window: the round looked at it; else its neighbours in the window were asked.
        near_copy_of: who stands for it in the round, where that is another picture.
        votes: for each kind, most first.
        margin: of the winner over the runner-up.
        outside: it lies farther out than the window itself, or is foreign to the one kind there is, so that its votes
            do not count.
        core_distance: 1 - cosine to the centre of the core of its kind, or of the likeliest; None where that has none.
        core_typical: the median of that over the core.
        voters: nearest first.
        exemplars: of its kind, or of the likeliest; the most alike first.
        note: what else must be known; "" for nothing.
    """

    sha256: str
    status: str
    cluster_id: int | None
    cluster_name: str
    probability: float | None
    uri: str
    placed: PlacedRow | None
    said: SaidRow
    clustering_id: int
    encoder_version: int
    in_window: bool
    near_copy_of: str | None
    votes: tuple[KindVote, ...]
    runner_up: KindVote | None
    margin: float
    outside: bool
    core_distance: float | None
    core_typical: float | None
    voters: tuple[VoterRow, ...]
    exemplars: tuple[ExemplarRow, ...]
    note: str


class Reasons:
    """The last round, ready to explain pictures by.

    Raises:
        NotFound: there was none, or the vectors that it was made of are gone because a newer version is ready.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._voters, self._clustering_id = voters_of(queries)
        self._names = queries.names()
        self._ballot = self._read()

    def explain(self, subject: Subject) -> Explanation:
        """Why a picture is where it is; of one that is not stored, where it would be."""
        voters, ballot = self._voters, self._ballot
        row = None if subject.picture_id is None else self._queries.by_id([subject.picture_id]).get(subject.picture_id)
        standing = None if subject.picture_id is None else self._queries.standing(subject.picture_id)
        itself = None if subject.picture_id is None else voters.observation(subject.picture_id)
        point_P, found = self._point(subject), None
        if point_P is not None:
            found = evidence(ballot, point_P, itself)
        votes = self._votes(found)
        outside = found is not None and itself is None and self._lies_outside(found, subject)
        said = self._said(standing) if standing is not None else self._would_say(votes, outside)
        shown = said.cluster_id if row is None else row.cluster_id
        shown = votes[0].cluster_id if shown is None and votes else shown
        lies = None if point_P is None or shown is None else core_distance(ballot, shown, point_P)
        return Explanation(
            sha256=subject.sha256,
            status="new" if row is None else row.status,
            cluster_id=None if row is None else row.cluster_id,
            cluster_name="" if row is None else row.cluster_name,
            probability=None if row is None else row.probability,
            uri="" if row is None else row.uri,
            placed=None if standing is None else standing.placed,
            said=said,
            clustering_id=self._clustering_id,
            encoder_version=voters.version,
            in_window=itself is not None,
            near_copy_of=self._near_copy_of(subject.picture_id, itself),
            votes=votes,
            runner_up=votes[1] if len(votes) > 1 else None,
            margin=0.0 if found is None else found.margin,
            outside=outside,
            core_distance=None if lies is None else lies[0],
            core_typical=None if lies is None else lies[1],
            voters=() if found is None else self._voter_rows(found),
            exemplars=() if point_P is None or shown is None else self._exemplars(shown, point_P, subject.picture_id),
            note=self._note(found, standing, itself),
        )

    # ---------------------------------------------------------------- the round

    def _read(self) -> Ballot:
        voters, queries = self._voters, self._queries
        row_R = voters.row_R
        points_RP = np.zeros((len(row_R), voters.space.axes_DP.shape[1]), dtype=np.float32)
        known_R = np.zeros(len(row_R), dtype=np.bool_)
        ids_R = voters.ids_N[row_R]
        for start in range(0, len(row_R), PART):
            ids_M, innate_MD, learned_MD = queries.embeddings(ids_R[start : start + PART], voters.version)
            if len(ids_M):
                at_M = np.searchsorted(ids_R, ids_M)
                points_RP[at_M], known_R[at_M] = voters.space.project(innate_MD, learned_MD), True
        if not known_R.any() and len(row_R):
            raise NotFound(
                f"no round has looked at encoder version {queries.ready_version()} yet, and the vectors of version "
                f"{voters.version} are gone; wait for the next round, or `recluster`"
            )
        seen_K = queries.seen_as(voters.kinds_K.tolist())
        kinds_K, share_RK = by_kind(voters.share_RK, seen_K.__getitem__)
        seen = dict(zip(voters.kinds_K.tolist(), seen_K, strict=True))
        voices = None if voters.voices is None else voters.voices.of_kinds(lambda kind: seen.get(kind, -1))
        return Ballot(points_RP, known_R, kinds_K, share_RK, voters.core_R, voters.k, voices)

    def _point(self, subject: Subject) -> Points | None:
        """Where it lies in the space of the round; None where it has no vector of the round's version."""
        version, learned_D = self._voters.version, subject.learned_D
        if version == BORN:
            return self._projected(subject, None)
        if subject.picture_id is not None:
            _, _, learned_1D = self._queries.embeddings([subject.picture_id], version)
            learned_D = learned_1D[0] if learned_1D is not None and len(learned_1D) else None
        elif subject.version != version:
            learned_D = None
        return None if learned_D is None else self._projected(subject, learned_D)

    def _projected(self, subject: Subject, learned_D: Vectors | None) -> Points:
        learned_1D = None if learned_D is None else learned_D[None]
        point_P: Points = self._voters.space.project(subject.innate_D[None], learned_1D)[0]
        return point_P

    def _near_copy_of(self, picture_id: int | None, itself: int | None) -> str | None:
        if itself is None:
            return None
        leader = int(self._voters.ids_N[self._voters.row_R[itself]])
        row = None if leader == picture_id else self._queries.by_id([leader]).get(leader)
        return None if row is None else row.sha256

    def _exemplars(self, kind: int, point_P: Points, but: int | None) -> tuple[ExemplarRow, ...]:
        ids = [i for i in self._queries.exemplars(kind) if i != but]
        ids_M, innate_MD, learned_MD = self._queries.embeddings(ids, self._voters.version)
        if len(ids_M) == 0:
            return ()
        cosine_M = self._voters.space.project(innate_MD, learned_MD) @ point_P
        best_M = np.argsort(-cosine_M, kind="stable")[:EXEMPLARS]
        rows = self._queries.by_id(ids_M[best_M].tolist())
        found = [(rows[int(ids_M[m])], float(cosine_M[m])) for m in best_M if int(ids_M[m]) in rows]
        return tuple(ExemplarRow(row.sha256, cosine, row.uri) for row, cosine in found)

    # ---------------------------------------------------------------- votes

    def _votes(self, found: Evidence | None) -> tuple[KindVote, ...]:
        if found is None:
            return ()
        kinds = [(int(self._ballot.kinds_K[i]), float(found.share_K[i])) for i in found.order]
        return tuple(KindVote(kind, self._names.get(kind, ""), share) for kind, share in kinds if share >= TOLD)

    def _lies_outside(self, found: Evidence, subject: Subject) -> bool:
        voters = self._voters
        foreign = float(apart(subject.innate_D[None], voters.space.innate_mean_D)[0]) > voters.foreign_beyond
        return foreign or (len(found.cosine_V) > 0 and float(found.cosine_V.mean()) < voters.far)

    def _voter_rows(self, found: Evidence) -> tuple[VoterRow, ...]:
        ballot, ids_R = self._ballot, self._voters.ids_N[self._voters.row_R]
        rows = self._queries.by_id(ids_R[found.voter_V].tolist())
        return tuple(
            _voter_row(row, float(cosine), float(weight), bool(ballot.core_R[voter]))
            for voter, cosine, weight in zip(found.voter_V, found.cosine_V, found.weight_V, strict=True)
            if (row := rows.get(int(ids_R[voter]))) is not None
        )

    # ---------------------------------------------------------------- what is said

    def _said(self, standing: StandingRow) -> SaidRow:
        name = "" if standing.cluster_id is None else self._names.get(standing.cluster_id, "")
        return SaidRow(standing.cluster_id, name, standing.probability, standing.core)

    def _would_say(self, votes: tuple[KindVote, ...], outside: bool) -> SaidRow:
        """As `Clusterer.vote`: the winner, unless it has too few votes or the picture lies outside."""
        if not votes or outside or votes[0].share < self._voters.assign:
            return SaidRow(None, "", 0.0, False)
        return SaidRow(votes[0].cluster_id, votes[0].cluster_name, stated(votes[0].share), False)

    def _note(self, found: Evidence | None, standing: StandingRow | None, itself: int | None) -> str:
        voters = self._voters
        if found is None:
            return f"it has no embedding under encoder version {voters.version}, so its neighbours could not be asked"
        if found.spoken:
            kind = int(self._ballot.kinds_K[found.order[0]])
            return (
                f"its nearest neighbours speak for kind {kind}, which people made; weights are what their votes count"
            )
        if itself is not None and standing is not None and standing.cluster_id is not None:
            if standing.cluster_id not in voters.kinds_K:
                return (
                    f"kind {standing.cluster_id} was not found in round {self._clustering_id}, and keeps its members "
                    "for the time being; the votes are for the kinds that were found"
                )
            if standing.core:
                return "a core member: density itself put it there, and the votes are only to compare"
        return ""


def _voter_row(row: PictureRow, cosine: float, weight: float, core: bool) -> VoterRow:
    return VoterRow(row.sha256, cosine, weight, row.cluster_id, row.cluster_name, core, row.uri)
