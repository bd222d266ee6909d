"""The clusterer: a window of embeddings in, a partition into kinds out.

It brings together the window, discovery and choice, and remembers the last choice of parameters. It knows
nothing about identity over time, storage, or what the pictures show; its kinds are numbers within one round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.calibration import stated
from agent.choice import GRID_ROWS, Chooser, StabilityOf, grid, sample
from agent.config import ClusterConfig
from agent.discovery import Kinds, Setting, discover, one_kind, together, without
from agent.foreign import NOBODY, apart, foreign_beyond
from agent.graph import Graph, nearest
from agent.leading import Together, led, put_by_people
from agent.near import near_kinds
from agent.observations import Observations
from agent.observed import Embedded, Observed, Read
from agent.partition import NONE, Partition, Pictures, assemble, nothing_yet
from agent.piles import piles
from agent.propagation import winners
from agent.score import VALLEY_POINTS, kind_stability, separation, valley
from agent.space import Points, Space, checked
from agent.tracks import tracks
from agent.voices import Voices
from agent.voters import Voters, by_kind
from storage.records import Assignments

__all__ = ["Clusterer", "Embedded", "Partition"]

# Once there is one kind, or more than one, the valleys must say so this much more clearly to change that.
HESITATION = 0.05
# Depth of the valley that one cloud cut in two shows by chance, times its members (Gaussians of 4 to 64 dimensions).
BY_CHANCE = 4.0
# Neighbours of each picture that a partition tells, for kinds that must share a label.
NEIGHBOURS = 8
# Quantile of the window's own closeness to its neighbours; a new picture farther out than that gets no vote.
FAR = 0.001
# Kinds that are told to be near to each.
NEAR_KINDS = 8
# Shares below this are not kept for readers: walks leave a trace of every kind everywhere.
NEGLIGIBLE = 1e-4


@dataclass(frozen=True, slots=True)
class Fitted:
    """What `vote` needs of the last fit.

    Attributes:
        points_RD: the observations.
        share_RK: shares of their walks that end in each kind.
        core_R: whether HDBSCAN itself put them into it.
        k: neighbours that vote.
        far: mean cosine to the neighbours below which a picture lies outside.
        foreign_beyond: innate distance to the centre beyond which it is foreign to the one kind there is.
        voices: who speaks for the kinds that people made; None where they made none.
    """

    space: Space
    points_RD: Points
    share_RK: Points
    core_R: NDArray[np.bool_]
    k: int
    far: float
    foreign_beyond: float
    voices: Voices | None = None


class Clusterer:
    """HDBSCAN* over a window, with parameters chosen without labels.

    Args:
        config: section `cluster`.
        rng: decides all that is drawn; the same generator and windows give the same partitions.
    """

    def __init__(self, config: ClusterConfig, rng: np.random.Generator) -> None:
        self._config = config
        self._seed = int(rng.integers(2**63))
        self._chooser = Chooser(grid(config.k, config.diffusion, config.selection, config.min_cluster_size))
        self._single: bool | None = None
        self._observed: Observed | None = None
        self._fitted: Fitted | None = None

    @property
    def setting(self) -> Setting | None:
        """The parameters in use; None before the first choice."""
        return self._chooser.in_use

    @property
    def observed(self) -> Observed | None:
        """The window as it is kept; None before the first fit."""
        return self._observed

    # ---------------------------------------------------------------- the two verbs

    def fit(
        self,
        ids_N: NDArray[np.int64],
        read: Read,
        version: int,
        *,
        before: Assignments | None = None,
        leaders: Mapping[int, int] | None = None,
        examine: bool = True,
    ) -> Partition:
        """Find the kinds of the window.

        Args:
            ids_N: ids of the pictures in it, unique, in any order.
            read: gives vectors; only those of pictures that are not known from the round before are asked for.
            version: the encoder version of the vectors.
            before: what was said of pictures in the round before; these kinds get the benefit of the doubt.
            leaders: pictures that people put into kinds which they made, and those kinds; what is like them follows.
            examine: also measure the stability of each kind, which takes as long as the rest.

        Raises:
            ValueError: for NaN or infinity, or vectors that differ in number.
        """
        ids_N = np.sort(ids_N)
        rng = np.random.default_rng([self._seed, len(ids_N)])
        if self._observed is not None and self._observed.serves(ids_N, version):
            self._observed.become(ids_N, read)
        else:
            self._observed = None  # lets go of the memory first
            window = read(ids_N).ascending()
            if len(window.ids_N) < self._config.min_size:
                self._fitted = None
                return nothing_yet(window.ids_N, {"reason": "fewer pictures than cluster.min_size"})
            self._observed = Observed(window, version, self._config, rng)
        return self._kinds_in(self._observed, version, before, leaders or {}, rng, examine)

    def vote(
        self,
        innate_MD: NDArray[np.floating],
        learned_MD: NDArray[np.floating] | None,
        kind_of: Callable[[int], int] = int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Kinds (M,) and probabilities (M,) for pictures outside the window of the last fit, by their neighbours.

        -1 below `cluster.assign`, for what lies farther out than the window itself does, for what is foreign where
        there is one kind only, and before the first fit.

        Args:
            kind_of: label of the last fit -> kind. Labels that are one kind vote together, as they do for readers.

        Raises:
            ValueError: for NaN or infinity, or a learned half that does not go with the last fit.
        """
        innate_MD = checked(innate_MD)
        if self._fitted is None or len(innate_MD) == 0:
            return np.full(len(innate_MD), NONE, dtype=np.int64), np.zeros(len(innate_MD), dtype=np.float32)
        fitted = self._fitted
        row_MK, cosine_MK = nearest(fitted.points_RD, fitted.space.project(innate_MD, learned_MD), fitted.k)
        kinds_K, share_MK = by_kind(fitted.share_RK[row_MK].mean(axis=1), kind_of)
        place_M, share_M = winners(share_MK)
        kind_M = np.append(kinds_K, NONE)[place_M]
        if fitted.voices is not None:
            chosen_M = fitted.voices.of_kinds(kind_of).chosen(row_MK, cosine_MK)
            kind_M = np.where(chosen_M >= 0, chosen_M, kind_M)
            share_M = np.where(chosen_M >= 0, np.float32(1), share_M)
        outside_M = (share_M < self._config.assign) | (cosine_MK.mean(axis=1) < fitted.far)
        if fitted.foreign_beyond < NOBODY:
            outside_M |= apart(innate_MD, fitted.space.innate_mean_D) > fitted.foreign_beyond
        kind_M[outside_M], share_M[outside_M] = NONE, 0
        return kind_M, stated(share_M)

    def voters(self, kind_of: Callable[[int], int], free_N: NDArray[np.bool_]) -> Voters | None:
        """What `vote` and the last fit's own votes were made of, for readers; None before the first fit.

        Args:
            kind_of: label -> cluster id.
            free_N: which pictures of the window belong to no kind.
        """
        if self._fitted is None or self._observed is None:
            return None
        fitted, observed = self._fitted, self._observed
        kinds_K, share_RK = by_kind(fitted.share_RK, kind_of)
        share_RK[share_RK < NEGLIGIBLE] = 0
        bursts = observed.bursts
        pile_R = piles(bursts.graph().neighbour_NK, free_N[bursts.row_R])
        return Voters(
            version=observed.version,
            space=fitted.space,
            innate_weight=self._config.innate_weight,
            k=fitted.k,
            far=fitted.far,
            foreign_beyond=fitted.foreign_beyond,
            assign=self._config.assign,
            ids_N=observed.ids_N,
            leader_N=bursts.leader_N,
            core_R=fitted.core_R,
            kinds_K=kinds_K,
            share_RK=share_RK,
            voices=None if fitted.voices is None else fitted.voices.of_kinds(kind_of),
            pile_N=np.where(free_N, pile_R[bursts.burst_N], NONE),
        )

    def near(self, kind_N: NDArray[np.int64]) -> dict[int, list[tuple[int, float]]]:
        """Kind -> the kinds nearest to it, nearest first, with cosines; empty before the first fit.

        Args:
            kind_N: the kind of the window's core members; negative for all else.
        """
        if self._fitted is None or self._observed is None:
            return {}
        return near_kinds(self._fitted.points_RD, kind_N[self._observed.bursts.row_R], NEAR_KINDS)

    def valley(self, one_N: NDArray[np.bool_], other_N: NDArray[np.bool_]) -> float:
        """Density between two groups of the last fit's window over the lower of their peaks (`agent.score.valley`).

        0 where one of them is too small to say.
        """
        if self._observed is None:
            return 0.0
        row_R = self._observed.bursts.row_R
        groups = [self._observed.points_ND[row_R[group_N[row_R]]] for group_N in (one_N, other_N)]
        one_MD, other_MD = (group_MD[:: 1 + len(group_MD) // VALLEY_POINTS] for group_MD in groups)
        return valley(one_MD, other_MD) if min(len(one_MD), len(other_MD)) > 1 else 0.0

    # ---------------------------------------------------------------- memory

    def state_dict(self) -> dict[str, object]:
        """Plain values: the last choice, and at which window it was made."""
        return {**self._chooser.state_dict(), "single": self._single}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from `state_dict`.

        Raises:
            ValueError: if it is not such a state.
        """
        try:
            self._chooser.load_state_dict(state)
            self._single = None if state["single"] is None else bool(state["single"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a state of the clusterer ({error}); delete it to choose parameters anew") from error

    # ---------------------------------------------------------------- one round

    def _kinds_in(
        self,
        window: Observed,
        version: int,
        before: Assignments | None,
        leaders: Mapping[int, int],
        rng: np.random.Generator,
        examine: bool,
    ) -> Partition:
        config, bursts = self._config, window.bursts
        graph, row_R, burst_N = bursts.graph(), bursts.row_R, bursts.burst_N
        known_R = np.full(len(row_R), NONE) if before is None else kinds_of(before, window.ids_N[row_R])
        people = put_by_people(leaders, known_R, window.ids_N, burst_N)
        before_R = None if before is None else numbered(known_R)
        track_R = tracks(graph, window.ids_N[row_R], config.track)
        observations = Observations(
            window.points_ND[row_R], bursts.weight_R, config.min_samples, config.min_size, before_R, track_R
        )
        kinds, setting, parameters = self._kinds_of(observations, graph, len(window.ids_N), version, rng)
        beyond, foreign_R = NOBODY, np.zeros(len(row_R), dtype=np.bool_)
        if parameters.get("single"):
            apart_R = apart(bursts.innate_RD, window.space.innate_mean_D)
            beyond = foreign_beyond(apart_R)
            foreign_R = apart_R > beyond
            kinds = without(kinds, foreign_R)
        together = None
        if people is not None:
            near = graph.first(setting.k) if setting else graph
            together = still_foreign(led(kinds, near, people, numbered(people.kind_N)), foreign_R)
            kinds = together.kinds
        stability_K = stability_of(kinds, setting, observations, rng) if examine else None
        k, far = neighbourhood(graph, setting)
        voices = None if together is None else together.voices
        self._fitted = Fitted(
            window.space, observations.points_ND, kinds.share_NK, kinds.core_N >= 0, k, far, beyond, voices
        )
        parameters |= {"observations": len(row_R), "dims": window.points_ND.shape[1]}
        neighbour_NK = row_R[graph.first(NEIGHBOURS).neighbour_NK][burst_N]
        pictures = Pictures(window.ids_N, window.points_ND, burst_N, neighbour_NK)
        alone = None if together is None else together.alone
        return assemble(pictures, kinds, stability_K, alone, config, parameters)

    def _kinds_of(
        self, observations: Observations, graph: Graph, pictures: int, version: int, rng: np.random.Generator
    ) -> tuple[Kinds, Setting | None, dict[str, object]]:
        """Kinds, the setting that found them (None where they are one kind) and the record of the choice."""
        if len(observations.points_ND) < self._config.min_size:
            return together(observations.points_ND), None, {"reason": "fewer observations than cluster.min_size"}
        parameters: dict[str, object] = {}
        setting = self._chooser.in_use
        if setting is None or self._chooser.due(pictures, version):
            setting, scored = self._chooser.choose(observations, pictures, version, rng)
            parameters["scores"] = [entry.as_dict() for entry in scored]
        kinds = discover(observations, graph, setting)
        needed = self._needed(kinds)
        separated = separation(observations.points_ND, kinds.label_N, kinds.count, needed)
        self._single = separated < needed
        parameters |= {**setting.as_dict(), "separation": round(separated, 4), "single": self._single}
        return (one_kind(kinds), None, parameters) if self._single else (kinds, setting, parameters)

    def _needed(self, kinds: Kinds) -> float:
        """How clearly kinds must be apart to be more than one: a few members make a valley by chance."""
        hesitation = {None: 0.0, True: HESITATION, False: -HESITATION}[self._single]
        members_K = np.bincount(kinds.label_N[kinds.label_N >= 0], minlength=1)
        by_chance = BY_CHANCE / max(1.0, float(np.median(members_K)) * len(members_K))
        return self._config.separation + hesitation + by_chance


def kinds_of(before: Assignments, ids_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """Kinds of these pictures, (R,); -1 for none."""
    kind_R = np.full(len(ids_R), NONE, dtype=np.int64)
    if len(before.picture_N):
        order_N = np.argsort(before.picture_N, kind="stable")
        at_R = np.minimum(np.searchsorted(before.picture_N[order_N], ids_R), len(order_N) - 1)
        known_R = before.picture_N[order_N][at_R] == ids_R
        kind_R[known_R] = before.cluster_N[order_N][at_R][known_R]
    return kind_R


def numbered(kind_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same kinds as numbers from 0, (R,); -1 for none."""
    number_R = np.full(len(kind_R), NONE, dtype=np.int64)
    assigned_R = kind_R != NONE
    number_R[assigned_R] = np.unique(kind_R[assigned_R], return_inverse=True)[1]
    return number_R


def still_foreign(together: Together, foreign_R: NDArray[np.bool_]) -> Together:
    """What is foreign to the kind that was found does not come to it by way of what people put elsewhere."""
    found = int(together.alone.label_N.max(initial=NONE))
    return replace(together, kinds=without(together.kinds, foreign_R & (together.kinds.label_N == found)))


def stability_of(kinds: Kinds, setting: Setting | None, observations: Observations, rng: np.random.Generator) -> Points:
    """Stability of each kind under subsampling, (K,); one kind alone is as stable as can be.

    Measured on at most GRID_ROWS observations, with the smallest size of a kind reduced as the observations are.
    """
    if setting is None:
        return np.ones(kinds.count, dtype=np.float32)
    row_M = sample(len(kinds.label_N), GRID_ROWS, rng)
    label_M = kinds.label_N[row_M]
    smaller = replace(setting, min_cluster_size=setting.min_cluster_size * (len(row_M) / len(kinds.label_N)) ** 0.5)
    draws = StabilityOf(observations.rows(row_M), setting.k, rng)
    found = [kind_stability(label_M[row_D], again_D, kinds.count) for row_D, again_D in draws.again(smaller)]
    return np.asarray(np.mean(found, axis=0), dtype=np.float32)


def neighbourhood(graph: Graph, setting: Setting | None) -> tuple[int, float]:
    """How many neighbours vote on a new picture, and the mean cosine to them below which it lies outside."""
    width = graph.neighbour_NK.shape[1]
    k = max(1, min(setting.k if setting else width, width))  # one that is alone can be asked about others, too
    closeness_N = 1 - (graph.first(k).distance_NK ** 2).mean(axis=1) / 2 if width else np.ones(1)
    return k, float(np.quantile(closeness_N, FAR)) - 1e-6
