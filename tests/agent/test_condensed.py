"""The condensed tree and both selections against hdbscan's own functions, on any tree."""

from __future__ import annotations

import numpy as np
import pytest
from hdbscan._hdbscan_tree import compute_stability, condense_tree, get_clusters
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from agent.condensed import condense
from agent.tree import linkage, select


def any_tree(count: int, levels: int, seed: int) -> np.ndarray:
    """Single linkage of points that weigh 1 to 3; with few levels many distances are the same."""
    rng = np.random.default_rng(seed)
    edges = np.array([[rng.integers(max(0, i - 9), i), i, rng.integers(1, levels + 1) / 8] for i in range(1, count)])
    return linkage(edges[np.argsort(edges[:, 2], kind="stable")], rng.integers(1, 4, count))


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 120),
    levels=st.sampled_from([1, 3, 1_000]),
    smallest=st.integers(2, 15),
    method=st.sampled_from(["eom", "leaf"]),
)
@settings(max_examples=300, deadline=None)
def test_the_same_kinds_as_hdbscans_own(seed: int, count: int, levels: int, smallest: int, method: str):
    tree = any_tree(count, levels, seed)
    theirs = condense_tree(tree, smallest)
    stability = compute_stability(theirs)
    ours = condense(tree, smallest)
    assert np.allclose(sorted(ours.stability_T()), sorted(stability.values()))
    found = select(tree, smallest, method)
    label, _, persistence = get_clusters(theirs, stability, method, False, False, 0.0, int(tree[-1, 3]) + 1)
    assert np.array_equal(label >= 0, found.label_N >= 0)
    assert adjusted_rand_score(label, found.label_N) == pytest.approx(1)
    if found.label_N.max() >= 0:
        assert np.allclose(sorted(persistence), sorted(found.persistence_K), rtol=1e-5)


def test_nodes_come_after_those_above_them():
    condensed = condense(any_tree(500, 1_000, 1), 5)
    assert len(condensed.parent_T) > 10
    assert (condensed.parent_T[1:] < np.arange(1, len(condensed.parent_T))).all()
    assert (condensed.birth_T[1:] > condensed.birth_T[condensed.parent_T[1:]]).all()
    assert (condensed.density_N >= condensed.birth_T[condensed.node_N]).all()
