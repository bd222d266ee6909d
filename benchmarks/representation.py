"""How good embeddings are, told by labels that the agent never saw. Shapes: N pictures, D dimensions."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Vectors = NDArray[np.floating]
Labels = NDArray[np.int64]

NEIGHBOURS = 20
PROBE_STEPS = 100


def unit(x_ND: Vectors, mean_D: Vectors) -> Vectors:
    """Centred and of length one."""
    centred = x_ND - mean_D
    length_N1 = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled_ND: Vectors = centred / np.maximum(length_N1, 1e-12)
    return scaled_ND


def side_by_side(innate_ND: Vectors, learned_ND: Vectors, innate_weight: float, fitted_N: NDArray[np.bool_]) -> Vectors:
    """What is clustered: both embeddings, each centred (by the mean of the `fitted` rows) and unit, weighed, joined."""
    innate_ND, learned_ND = (unit(half, half[fitted_N].mean(axis=0)) for half in (innate_ND, learned_ND))
    return np.concatenate([innate_weight * innate_ND, learned_ND], axis=1)


def knn_hits(train_ND: Vectors, train_N: Labels, test_MD: Vectors, test_M: Labels) -> NDArray[np.bool_]:
    """`(M,)`: is the majority of the 20 nearest training pictures, by cosine and weighted by it, of the same class."""
    zero = np.zeros(train_ND.shape[1], dtype=train_ND.dtype)
    cosine_MN = unit(test_MD, zero) @ unit(train_ND, zero).T
    near_MK = np.argpartition(-cosine_MN, min(NEIGHBOURS, cosine_MN.shape[1]) - 1, axis=1)[:, :NEIGHBOURS]
    votes_MC = np.zeros((len(test_M), int(train_N.max()) + 1))
    weight_MK = np.take_along_axis(cosine_MN, near_MK, axis=1).clip(min=0)
    for k in range(near_MK.shape[1]):
        np.add.at(votes_MC, (np.arange(len(test_M)), train_N[near_MK[:, k]]), weight_MK[:, k])
    hits: NDArray[np.bool_] = votes_MC.argmax(axis=1) == test_M
    return hits


def probe_accuracy(train_ND: Vectors, train_N: Labels, test_MD: Vectors, test_M: Labels) -> float:
    """Accuracy of a logistic regression on standardised embeddings, at most 100 steps of L-BFGS."""
    mean, deviation = train_ND.mean(axis=0), train_ND.std(axis=0) + 1e-6
    probe = LogisticRegression(C=0.1, max_iter=PROBE_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit((train_ND - mean) / deviation, train_N)
    return float(probe.score((test_MD - mean) / deviation, test_M))


def effective_rank(x_ND: Vectors) -> float:
    """exp of the entropy of the singular values' shares (Roy and Vetterli 2007), of centred embeddings."""
    values = np.linalg.svd(x_ND - x_ND.mean(axis=0), compute_uv=False)
    share = values / values.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))
