"""From observations back to pictures, against the plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from agent.config import ClusterConfig
from agent.discovery import Kinds
from agent.partition import NONE, Pictures, assemble, cohesion, diverse, nothing_yet
from agent.space import unit
from tests.agent.shapes import blobs


def kinds(core: list[int], label: list[int], sure: list[float]) -> Kinds:
    """Two kinds among observations; what is stated is half of what is sure."""
    sure_N = np.array(sure, dtype=np.float32)
    return Kinds(
        core_N=np.array(core),
        label_N=np.array(label),
        probability_N=(sure_N / 2).astype(np.float32),
        sure_N=sure_N,
        share_NK=np.zeros((len(core), 2), dtype=np.float32),
        persistence_K=np.array([0.5, 0.25], dtype=np.float32),
        parent_K=(None, 4),
        diffused_ND=np.zeros((len(core), 2), dtype=np.float32),
    )


@pytest.fixture
def pictures() -> Pictures:
    """Six pictures of four observations: the second and third show the same, and so do the last two."""
    points_ND = unit(np.array([[1.0, 0.0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]]))
    return Pictures(np.array([3, 5, 8, 9, 11, 20]), points_ND, np.array([0, 1, 1, 2, 3, 3]), np.empty((6, 0), np.int64))


def test_near_copies_share_what_was_found(pictures: Pictures):
    found = kinds(core=[0, 0, 1, -1], label=[0, 0, 1, 1], sure=[1, 1, 1, 0.6])
    part = assemble(pictures, found, None, None, ClusterConfig(assign=0.5), {"k": 8})
    assert part.label_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.core_N.tolist() == [True, True, True, True, False, False]
    assert part.probability_N == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.3, 0.3])
    assert part.statistics[0]["size"] == 3
    assert (part.statistics[1]["core_size"], part.statistics[1]["observations"]) == (1, 2)
    assert (part.coarser, part.parameters) == ({0: None, 1: 4}, {"k": 8})
    assert "stability" not in part.statistics[0]


def test_below_the_threshold_nobody_is_assigned_but_core_members(pictures: Pictures):
    found = kinds(core=[0, -1, 1, -1], label=[0, 0, 1, 1], sure=[0.1, 0.49, 0.1, 0.5])
    part = assemble(pictures, found, np.array([0.9, 0.1]), None, ClusterConfig(assign=0.5), {})
    assert part.label_N.tolist() == [0, NONE, NONE, 1, 1, 1]
    assert part.probability_N[1:3].tolist() == [0, 0]
    assert part.statistics[0]["stability"] == pytest.approx(0.9)


def test_exemplars_are_core_and_stand_for_their_copies(pictures: Pictures):
    found = kinds(core=[0, 0, 1, -1], label=[0, 0, 1, 1], sure=[1, 1, 1, 1])
    part = assemble(pictures, found, None, None, ClusterConfig(exemplars=5), {})
    assert set(part.exemplars[0]) == {3, 5}
    assert part.exemplars[1] == (9,)


def test_what_people_did_can_be_taken_away_again(pictures: Pictures):
    led = kinds(core=[0, 0, 1, 1], label=[0, 0, 1, 1], sure=[1, 1, 1, 1])
    alone = kinds(core=[0, 0, 0, -1], label=[0, 0, 0, 1], sure=[1, 1, 1, 0.2])
    part = assemble(pictures, led, None, alone, ClusterConfig(assign=0.5), {})
    assert part.label_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.alone is not None
    assert part.alone.label_N.tolist() == [0, 0, 0, 0, NONE, NONE]


def test_the_first_is_the_medoid_and_each_next_the_farthest_from_those_before():
    points = unit(blobs([30], spread=0.8)[0])
    chosen = diverse(points, 6).tolist()
    centre = points.mean(axis=0)
    assert chosen[0] == max(range(30), key=lambda i: points[i] @ centre)
    for at in range(1, 6):
        nearest = {i: max(points[i] @ points[j] for j in chosen[:at]) for i in range(30) if i not in chosen[:at]}
        assert nearest[chosen[at]] == pytest.approx(min(nearest.values()), abs=1e-6)
    assert sorted(diverse(points, 99).tolist()) == list(range(30))
    assert len(diverse(points[:0], 3)) == 0


def test_cohesion_is_the_mean_cosine_to_the_centre():
    points = unit(blobs([30], spread=0.8)[0])
    centre = points.mean(axis=0) / np.linalg.norm(points.mean(axis=0))
    assert cohesion(points) == pytest.approx(float((points @ centre).mean()), abs=1e-6)


def test_before_anything_is_found_everything_is_unassigned():
    part = nothing_yet(np.array([1, 2, 3]), {"reason": "few"})
    assert part.label_N.tolist() == [NONE] * 3
    assert not part.core_N.any()
    assert part.parameters == {"reason": "few"}
