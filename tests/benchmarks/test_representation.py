from __future__ import annotations

import numpy as np
import pytest

from benchmarks.representation import NEIGHBOURS, effective_rank, knn_hits, probe_accuracy, side_by_side

RNG = np.random.default_rng(0)


def two_classes(count: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    label_N = np.arange(count) % 2
    x_ND = RNG.normal(size=(count, 16))
    x_ND[:, 0] += apart * (2 * label_N - 1)
    return x_ND, label_N


def naive_hit(train_ND: np.ndarray, train_N: np.ndarray, one_D: np.ndarray, label: int) -> bool:
    cosines = [float(x @ one_D / np.linalg.norm(x) / np.linalg.norm(one_D)) for x in train_ND]
    nearest = sorted(range(len(cosines)), key=lambda i: -cosines[i])[:NEIGHBOURS]
    votes = {int(c): 0.0 for c in train_N}
    for i in nearest:
        votes[int(train_N[i])] += max(cosines[i], 0.0)
    return max(votes, key=lambda c: votes[c]) == label


def test_nearest_neighbours_vote_as_in_the_naive_form() -> None:
    train_ND, train_N = two_classes(120, 0.8)
    test_MD, test_M = two_classes(60, 0.8)
    hits = knn_hits(train_ND, train_N, test_MD, test_M)
    assert hits.tolist() == [naive_hit(train_ND, train_N, x, int(c)) for x, c in zip(test_MD, test_M, strict=True)]
    assert 0.6 < hits.mean() < 1


def test_a_probe_tells_separable_classes_apart_and_guesses_where_there_is_nothing() -> None:
    far, near = (probe_accuracy(*two_classes(200, apart), *two_classes(100, apart)) for apart in (5.0, 0.0))
    assert far == 1.0
    assert 0.3 < near < 0.7


@pytest.mark.parametrize("rank", [1, 3, 12])
def test_effective_rank_of_equal_directions_is_their_number(rank: int) -> None:
    eye = np.eye(rank, 20)
    x_ND = np.concatenate([eye, -eye]) * 3.0
    assert effective_rank(x_ND) == pytest.approx(rank, abs=1e-6)


def test_side_by_side_weighs_the_halves_and_centres_by_the_fitted_rows() -> None:
    innate_ND, learned_ND = RNG.normal(5, 1, (40, 8)), RNG.normal(-2, 9, (40, 8))
    fitted_N = np.arange(40) < 30
    joined_ND = side_by_side(innate_ND, learned_ND, 0.5, fitted_N)
    assert np.allclose(np.linalg.norm(joined_ND[:, :8], axis=1), 0.5)
    assert np.allclose(np.linalg.norm(joined_ND[:, 8:], axis=1), 1)
    centred = innate_ND - innate_ND[:30].mean(axis=0)
    assert np.allclose(2 * joined_ND[:, :8], centred / np.linalg.norm(centred, axis=1, keepdims=True))
