"""Kinds from a graph with given parameters: diffusion, HDBSCAN* tree, selection, propagation.

It knows nothing about how the parameters were chosen, nor about pictures, versions or earlier rounds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from agent.calibration import stated
from agent.graph import Graph, Rows, diffuse, measured
from agent.observations import Observations
from agent.propagation import Labels, at_home, propagate, winners
from agent.space import Points
from agent.tracks import TRACK_NEIGHBOURS, one_of_each
from agent.tree import linkage, select, spanning_tree


@dataclass(frozen=True, slots=True)
class Setting:
    """The parameters that are chosen without labels.

    Attributes:
        k: neighbours along which points diffuse and walks go.
        diffusion: steps.
        selection: `eom` or `leaf`, of hdbscan.
        min_cluster_size: in units of the square root of the number of observations.
    """

    k: int
    diffusion: int
    selection: str
    min_cluster_size: float

    def as_dict(self) -> dict[str, object]:
        """Plain values, for the record."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Kinds:
    """What was found among N observations.

    Attributes:
        core_N: kind of each core member, -1 for everyone else.
        label_N: likeliest kind of everyone; -1 where none can be reached.
        probability_N: of that kind, as it is stated, float32.
        sure_N: share of the walks that end in it, with the benefit of the doubt that what was known has; decides who is
            assigned.
        share_NK: shares of all kinds.
        persistence_K: stability score of hdbscan.
        parent_K: node of the condensed tree above each kind; None at the top.
        diffused_ND: the points after diffusion.
    """

    core_N: Labels
    label_N: Labels
    probability_N: Points
    sure_N: Points
    share_NK: Points
    persistence_K: Points
    parent_K: tuple[int | None, ...]
    diffused_ND: Points

    @property
    def count(self) -> int:
        """Number of kinds."""
        return len(self.parent_K)


def discover(seen: Observations, graph: Graph, setting: Setting) -> Kinds:
    """Find kinds among at least two observations.

    Args:
        graph: of them, at least `setting.k` and `wanted` neighbours, or N - 1.
    """
    near_NK = graph.neighbour_NK[:, : setting.k]
    if seen.track_N is not None:
        near_NK = one_of_each(graph.neighbour_NK, seen.track_N, setting.k)
    graph = graph.first(max(setting.k, tree_neighbours(seen.min_samples)))
    diffused_ND = diffuse(seen.points_ND, near_NK, setting.diffusion, seen.before_N)
    moved = measured(diffused_ND, graph) if setting.diffusion else graph
    tree = linkage(spanning_tree(diffused_ND, moved, seen.min_samples), seen.weight_N)
    flat = select(tree, smallest(setting, seen.weight_N, seen.min_size), setting.selection, seen.before_N)
    share_NK = propagate(near_NK, flat.label_N, len(flat.parent_K))
    label_N, probability_N, sure_N = settled(share_NK, seen.before_N)
    return Kinds(flat.label_N, label_N, probability_N, sure_N, share_NK, flat.persistence_K, flat.parent_K, diffused_ND)


def wanted(min_samples: int) -> int:
    """Neighbours that `discover` wants in a graph, beside those of the setting."""
    return max(tree_neighbours(min_samples), TRACK_NEIGHBOURS)


def tree_neighbours(min_samples: int) -> int:
    """Neighbours that the tree is made along: about twice as many as decide how dense a place is.

    On overlapping points with 15 it so agrees with hdbscan's by 0.96 to 1.0 (`benchmarks.clustering --min-samples 15`);
    along 15 alone by 0.89 in `tests/benchmarks/test_clustering.py`, and with 5 along 8 by 0.5.
    """
    return max(15, 2 * min_samples + 5)


def settled(share_NK: Points, before_N: Labels | None) -> tuple[Labels, Points, Points]:
    """Likeliest kinds, their probabilities, and their shares with the benefit of the doubt, (N,) each; see `Kinds`."""
    label_N, sure_N = winners(share_NK)
    if before_N is None or share_NK.shape[1] == 0:
        return label_N, stated(sure_N), sure_N
    label_N, sure_N = at_home(share_NK, label_N, sure_N, before_N)
    return label_N, stated(np.minimum(1, share_NK[np.arange(len(share_NK)), label_N])), sure_N


def smallest(setting: Setting, weight_N: Rows, min_size: int) -> int:
    """The smallest weight of a kind: it grows with the square root of the window, as the noise of a count does."""
    return max(min_size, round(setting.min_cluster_size * float(np.sqrt(weight_N.sum()))))


def one_kind(kinds: Kinds) -> Kinds:
    """Everything together: the answer where nothing separates the kinds that were found; their cores are its core."""
    whole = together(kinds.diffused_ND)
    if kinds.count == 0:
        return whole
    return replace(whole, core_N=np.where(kinds.core_N >= 0, 0, -1).astype(np.int64))


def without(kinds: Kinds, gone_N: NDArray[np.bool_]) -> Kinds:
    """The same kinds, to which some belong no more."""
    return replace(
        kinds,
        core_N=np.where(gone_N, -1, kinds.core_N),
        label_N=np.where(gone_N, -1, kinds.label_N),
        probability_N=np.where(gone_N, np.float32(0), kinds.probability_N),
        sure_N=np.where(gone_N, np.float32(0), kinds.sure_N),
        share_NK=np.where(gone_N[:, None], np.float32(0), kinds.share_NK),
    )


def together(points_ND: Points) -> Kinds:
    """Everything is one kind, and all of it core."""
    count = len(points_ND)
    return Kinds(
        core_N=np.zeros(count, dtype=np.int64),
        label_N=np.zeros(count, dtype=np.int64),
        probability_N=np.ones(count, dtype=np.float32),
        sure_N=np.ones(count, dtype=np.float32),
        share_NK=np.ones((count, 1), dtype=np.float32),
        persistence_K=np.ones(1, dtype=np.float32),
        parent_K=(None,),
        diffused_ND=points_ND,
    )
