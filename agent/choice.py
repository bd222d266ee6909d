"""Which setting finds the best kinds, judged without labels, and when that is asked again.

A setting's score is the silhouette of the propagated labels among the diffused points (Lowe et al. 2024, arXiv
2406.02465: in a reduced space it goes with agreement to hidden labels), times their stability under subsampling.
It knows nothing about pictures or identity; discovery is run for it on observations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from agent.discovery import Setting, discover, wanted
from agent.graph import Graph, Rows, neighbour_graph
from agent.observations import Observations
from agent.propagation import Labels
from agent.score import agreement, silhouette

# Observations on which settings are compared: bounds the cost for large windows.
GRID_ROWS = 8_192
# Share of the observations in a subsample, and how many are drawn.
SUBSAMPLE = 0.8
DRAWS = 2
# Share of a setting's score that it loses if its kinds have nothing to do with those of the round before.
INERTIA = 0.5
# What it counts for a setting that it is in use.
IN_USE = 1.25
# What it counts for the first of the grid that it is the first: the best score alone often chooses what is worse, by
# `benchmarks.selection`, and on `benchmarks.bursts` even where it is 2.8 times as good.
FIRST = 3.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A setting and what it was measured to be worth; stability is None where it could not have changed the choice."""

    setting: Setting
    kinds: int
    silhouette: float
    stability: float | None
    continuity: float = 1.0

    @property
    def score(self) -> float:
        """Silhouette times stability, less for what upsets known kinds; 0 where stability was not worth measuring."""
        return max(0.0, self.silhouette) * (self.stability or 0.0) * (1 - INERTIA + INERTIA * self.continuity)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for the record."""
        return {
            **asdict(self.setting),
            "kinds": self.kinds,
            "silhouette": round(self.silhouette, 4),
            "stability": None if self.stability is None else round(self.stability, 4),
        }


def grid(
    k: Iterable[int], diffusion: Iterable[int], selection: Iterable[str], min_cluster_size: Iterable[float]
) -> list[Setting]:
    """All combinations."""
    return [Setting(*values) for values in product(k, diffusion, selection, min_cluster_size)]


def score_settings(
    settings: Sequence[Setting], observations: Observations, rng: np.random.Generator, always: Sequence[Setting] = ()
) -> list[Scored]:
    """Score the settings, best first.

    Stability is at most 1, so it is measured from the best silhouette down and only while it can still decide;
    and always for those that others are compared with.
    """
    observations = observations.rows(sample(len(observations.points_ND), GRID_ROWS, rng))
    k = max(wanted(observations.min_samples), *(setting.k for setting in settings))
    graph = neighbour_graph(observations.points_ND, k)
    found = {setting: discover(observations, graph, setting) for setting in settings}
    width = {setting: silhouette(kinds.diffused_ND, kinds.label_N, rng) for setting, kinds in found.items()}
    stability_of = StabilityOf(observations, graph.neighbour_NK.shape[1], rng)
    scored: list[Scored] = []
    best = 0.0
    for setting in sorted(settings, key=lambda setting: -width[setting]):
        kinds = found[setting]
        decides = width[setting] > best or setting in always
        stability = stability_of(setting, kinds.label_N) if decides else None
        scored.append(Scored(setting, kinds.count, width[setting], stability, observations.continuity(kinds.label_N)))
        best = max(best, scored[-1].score)
    return sorted(scored, key=lambda entry: (-entry.score, -entry.silhouette))


class StabilityOf:
    """Agreement of kinds with those found in subsamples; the subsamples and their graphs are drawn once."""

    def __init__(self, observations: Observations, k: int, rng: np.random.Generator) -> None:
        k = max(k, wanted(observations.min_samples))
        self._draws: list[tuple[Rows, Observations, Graph]] = []
        count = len(observations.points_ND)
        for _ in range(DRAWS):
            row_M = np.sort(rng.choice(count, max(2, round(SUBSAMPLE * count)), replace=False))
            part = observations.rows(row_M)
            self._draws.append((row_M, part, neighbour_graph(part.points_ND, k)))

    def __call__(self, setting: Setting, label_N: Labels) -> float:
        """Mean adjusted Rand index over the draws, in [0, 1]."""
        return float(np.mean([agreement(label_N[row_M], again) for row_M, again in self.again(setting)]))

    def again(self, setting: Setting) -> Iterable[tuple[Rows, Labels]]:
        """Rows and labels of each subsample."""
        for row_M, part, graph in self._draws:
            yield row_M, discover(part, graph, setting).label_N


def sample(count: int, most: int, rng: np.random.Generator) -> Rows:
    """All rows, or a uniform sample of at most so many; ascending."""
    rows = np.arange(count, dtype=np.int64) if count <= most else np.sort(rng.choice(count, most, replace=False))
    return np.asarray(rows, dtype=np.int64)


class Chooser:
    """The setting in use, and when it was chosen: at birth, for a new encoder version, and when the window doubled."""

    def __init__(self, settings: list[Setting]) -> None:
        self._settings = settings
        self.in_use: Setting | None = None
        self._pictures = 0
        self._version = 0

    def due(self, pictures: int, version: int) -> bool:
        """Whether the grid should be run; also when it is another one than before."""
        return self.in_use not in self._settings or version != self._version or pictures >= 2 * self._pictures

    def choose(
        self, observations: Observations, pictures: int, version: int, rng: np.random.Generator
    ) -> tuple[Setting, list[Scored]]:
        """Run the grid; the best of it is used, where the one in use and the first count for more."""
        counts = dict.fromkeys(self._settings, 1.0)
        counts[self._settings[0]] *= FIRST
        if self.in_use in counts:
            counts[self.in_use] *= IN_USE
        scored = score_settings(self._settings, observations, rng, [one for one in counts if counts[one] > 1])
        self.in_use = max(
            scored, key=lambda entry: (entry.score * counts[entry.setting], counts[entry.setting])
        ).setting
        self._pictures, self._version = pictures, version
        return self.in_use, scored

    def state_dict(self) -> dict[str, object]:
        """Plain values."""
        setting = asdict(self.in_use) if self.in_use else None
        return {"setting": setting, "pictures_at_grid": self._pictures, "version_at_grid": self._version}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from `state_dict`.

        Raises:
            KeyError, TypeError: if it is not such a state.
        """
        setting = state["setting"]
        pictures, version = state["pictures_at_grid"], state["version_at_grid"]
        if not isinstance(pictures, int) or not isinstance(version, int):
            raise TypeError("pictures_at_grid and version_at_grid must be integers")
        self.in_use = Setting(**setting) if isinstance(setting, Mapping) else None
        self._pictures, self._version = pictures, version
