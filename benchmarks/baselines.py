"""The recipes that people use today, on the same embeddings: k-means with the silhouette's choice of k, and DBSCAN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

DIMS = 64
MOST_KINDS = 30
DENSE = 5
"""Neighbours that make a point of DBSCAN's a core point."""


def reduced(x_ND: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
    """Their first 64 principal components, as the recipes do for speed."""
    most = min(DIMS, *x_ND.shape)
    components_ND: NDArray[np.floating] = PCA(most, random_state=seed).fit_transform(x_ND)
    return components_ND


def k_means_by_silhouette(x_ND: NDArray[np.floating], seed: int) -> NDArray[np.int64]:
    """Labels (N,) of k-means with the k of 2..30 whose silhouette is largest (Rousseeuw 1987)."""
    best_score, best_N = -2.0, np.zeros(len(x_ND), dtype=np.int64)
    for k in range(2, min(MOST_KINDS, len(x_ND) - 1) + 1):
        label_N = KMeans(k, n_init=3, random_state=seed).fit_predict(x_ND)
        score = silhouette_score(x_ND, label_N, sample_size=min(2_000, len(x_ND)), random_state=seed)
        if score > best_score:
            best_score, best_N = score, label_N.astype(np.int64)
    return best_N


def dbscan(x_ND: NDArray[np.floating]) -> NDArray[np.int64]:
    """Labels (N,), -1 for noise; the radius is the knee of the sorted distances to the 5th neighbour."""
    distance_NK, _ = NearestNeighbors(n_neighbors=DENSE + 1).fit(x_ND).kneighbors(x_ND)
    sorted_N = np.sort(distance_NK[:, -1])
    label_N: NDArray[np.int64] = DBSCAN(eps=float(_knee(sorted_N)), min_samples=DENSE).fit_predict(x_ND)
    return label_N.astype(np.int64)


def _knee(rising_N: NDArray[np.floating]) -> float:
    """Value where a rising curve is farthest below the straight line between its ends (Satopaa et al. 2011)."""
    line_N = np.linspace(rising_N[0], rising_N[-1], len(rising_N))
    return max(float(rising_N[int((line_N - rising_N).argmax())]), 1e-6)
