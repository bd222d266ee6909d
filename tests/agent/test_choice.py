"""Choosing settings: by the score alone when there is none in use, and only for much better when there is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

import agent.choice as choice
from agent.choice import (
    DRAWS,
    FIRST,
    IN_USE,
    SUBSAMPLE,
    Chooser,
    Scored,
    StabilityOf,
    grid,
    score_settings,
)
from agent.discovery import Setting, discover
from agent.graph import neighbour_graph
from agent.observations import Observations
from agent.score import silhouette
from agent.space import unit
from tests.agent.shapes import blobs

GRID = grid([10, 20], [2, 8], ["eom", "leaf"], [0.8])
ONE, TWO, THREE = GRID[:3]


def observed(seed: int = 0, spread: float = 0.9, count: int = 70, before: np.ndarray | None = None) -> Observations:
    points, _ = blobs([count, count - 10, count - 20, count - 30], dims=16, spread=spread, seed=seed)
    return Observations(unit(points), np.ones(len(points), dtype=np.int64), 5, 10, before)


# -------------------------------------------------------------------- the score


def test_the_score_is_silhouette_times_stability_less_what_it_upsets() -> None:
    assert Scored(ONE, 4, 0.5, 0.8).score == pytest.approx(0.4)
    assert Scored(ONE, 4, 0.5, 0.8, continuity=0.2).score == pytest.approx(0.4 * 0.6)
    assert Scored(ONE, 4, -0.5, 0.8).score == 0
    assert Scored(ONE, 4, 0.5, None).score == 0


def test_stability_is_agreement_with_kinds_of_subsamples() -> None:
    """Naively: the same draws, each clustered by itself."""
    observations = observed(spread=1.5)
    kinds = discover(observations, neighbour_graph(observations.points_ND, 20), ONE)
    rng, count = np.random.default_rng(7), len(observations.points_ND)
    found = []
    for _ in range(DRAWS):
        rows = np.sort(rng.choice(count, round(SUBSAMPLE * count), replace=False))
        part = observations.rows(rows)
        again = discover(part, neighbour_graph(part.points_ND, 20), ONE)
        found.append(max(0, adjusted_rand_score(kinds.label_N[rows], again.label_N)))
    stability_of = StabilityOf(observations, 20, np.random.default_rng(7))
    assert stability_of(ONE, kinds.label_N) == pytest.approx(np.mean(found))
    assert 0 < np.mean(found) < 1


def test_the_best_is_that_of_all_settings_measured_in_full() -> None:
    """What is not measured could not have won."""
    observations = observed()
    scored = score_settings(GRID, observations, np.random.default_rng(0))
    rng = np.random.default_rng(0)  # draws nothing for so few: the same subsamples as above
    graph = neighbour_graph(observations.points_ND, 20)
    kinds = {setting: discover(observations, graph, setting) for setting in GRID}
    stability_of = StabilityOf(observations, 20, rng)
    full = {
        setting: silhouette(one.diffused_ND, one.label_N, rng) * stability_of(setting, one.label_N)
        for setting, one in kinds.items()
    }
    assert scored[0].setting == max(full, key=lambda setting: full[setting])
    assert scored[0].score == pytest.approx(full[scored[0].setting])
    assert [entry.score for entry in scored] == sorted((entry.score for entry in scored), reverse=True)
    for entry in scored:
        if entry.stability is None:
            assert full[entry.setting] <= scored[0].score + 1e-9


def test_what_others_are_compared_with_is_always_measured() -> None:
    observations = observed()
    widths = score_settings(GRID, observations, np.random.default_rng(0))
    worst = min(widths, key=lambda entry: entry.silhouette).setting
    again = score_settings(GRID, observations, np.random.default_rng(0), always=[worst])
    assert next(entry for entry in again if entry.setting == worst).stability is not None


def test_what_has_no_kind_in_the_round_before_says_nothing_of_continuity() -> None:
    before = np.full(len(observed().points_ND), -1)
    label = np.arange(len(before)) % 3
    assert observed().continuity(label) == observed(before=before).continuity(label) == 1
    before[:90] = label[:90]
    assert observed(before=before).continuity(label) == 1
    assert observed(before=before).continuity(np.zeros(len(before), dtype=np.int64)) == 0


# -------------------------------------------------------------------- hysteresis


def told(monkeypatch: pytest.MonkeyPatch, scores: dict[Setting, float]) -> None:
    """Let the grid say so."""

    def said(settings: Sequence[Setting], *_: object) -> list[Scored]:
        return sorted((Scored(one, 3, scores[one], 1.0) for one in settings), key=lambda entry: -entry.score)

    monkeypatch.setattr(choice, "score_settings", said)


def test_noise_changes_no_setting_and_a_clear_winner_does(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser, rng = Chooser([THREE, ONE, TWO]), np.random.default_rng(0)
    told(monkeypatch, {ONE: 0.7, TWO: 0.5, THREE: 0.1})
    assert chooser.choose(observed(), 100, 1, rng)[0] == ONE
    for version in range(2, 40):
        jitter = rng.uniform(-0.05, 0.05, 2)  # less than a quarter between the two
        told(monkeypatch, {ONE: 0.5 + jitter[0], TWO: 0.5 + jitter[1], THREE: 0.1})
        assert chooser.choose(observed(), 100, version, rng)[0] == ONE
    told(monkeypatch, {ONE: 0.5, TWO: 0.5 * IN_USE + 0.001, THREE: 0.1})
    assert chooser.choose(observed(), 100, 40, rng)[0] == TWO


def test_a_setting_that_left_the_grid_is_given_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who configures other values wants those."""
    chooser = Chooser([ONE])
    told(monkeypatch, {ONE: 0.5, TWO: 0.4})
    chooser.choose(observed(), 100, 1, np.random.default_rng(0))
    assert not chooser.due(100, 1)
    later = Chooser([TWO])
    later.load_state_dict(json.loads(json.dumps(chooser.state_dict())))
    assert later.due(100, 1)
    assert later.choose(observed(), 100, 1, np.random.default_rng(0))[0] == TWO
    assert not later.due(100, 1)


def test_the_first_of_the_grid_is_used_unless_another_is_far_better(monkeypatch: pytest.MonkeyPatch) -> None:
    for score, expected in ((0.29, ONE), (0.31, TWO)):
        told(monkeypatch, {ONE: 0.3 / FIRST, TWO: score})
        assert Chooser([ONE, TWO]).choose(observed(), 100, 1, np.random.default_rng(0))[0] == expected


def test_back_to_the_first_of_the_grid_it_takes_less_than_away_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser, rng = Chooser([ONE, TWO]), np.random.default_rng(0)
    for version, (score, expected) in enumerate(
        ((0.9 * FIRST, ONE), (1.3 * FIRST, TWO), (1.1 * FIRST, TWO), (2.0, ONE))
    ):
        told(monkeypatch, {ONE: 0.1, TWO: 0.1 * score})
        assert chooser.choose(observed(), 100, version, rng)[0] == expected


def test_where_nothing_is_worth_anything_the_first_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, {ONE: 0.0, TWO: 0.0})
    assert Chooser([ONE, TWO]).choose(observed(), 100, 1, np.random.default_rng(0))[0] == ONE


def changes_over(versions: int) -> int:
    """How often the setting changes while every version moves all pictures a little, for real."""
    chooser, rng = Chooser(GRID), np.random.default_rng(0)
    base, before, used = observed(spread=1.1), None, []
    for version in range(1, versions + 1):
        moved = unit(base.points_ND + rng.normal(0, 0.06, base.points_ND.shape))
        observations = Observations(moved, base.weight_N, 5, 10, before)
        setting, _ = chooser.choose(observations, len(moved), version, rng)
        before = discover(observations, neighbour_graph(moved, 20), setting).label_N
        used.append(setting)
    return sum(one != other for one, other in pairwise(used))


@pytest.mark.slow
def test_settings_keep_still_while_versions_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most two changes in a dozen versions; without inertia there are more, so it is that which keeps them."""
    kept = changes_over(12)
    assert kept <= 2
    monkeypatch.setattr(choice, "IN_USE", 1.0)
    monkeypatch.setattr(choice, "FIRST", 1.0)
    monkeypatch.setattr(choice, "INERTIA", 0.0)
    assert changes_over(12) > kept


# -------------------------------------------------------------------- when it is asked again


def test_the_grid_is_due_at_birth_for_a_version_and_when_the_window_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = Chooser([ONE])
    assert chooser.due(100, 1)
    told(monkeypatch, {ONE: 0.5})
    chooser.choose(observed(), 100, 1, np.random.default_rng(0))
    assert [chooser.due(pictures, 1) for pictures in (50, 100, 199, 200)] == [False, False, False, True]
    assert chooser.due(100, 2)


@pytest.mark.parametrize("state", [{}, {"setting": None, "pictures_at_grid": "1", "version_at_grid": 1}])
def test_a_foreign_state_is_refused(state: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Chooser([ONE]).load_state_dict(state)
