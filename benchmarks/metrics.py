"""How well discovered kinds agree with hidden classes. Label -1 means unassigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

UNASSIGNED = -1


@dataclass(frozen=True, slots=True)
class Agreement:
    """Scores of one labelling.

    Attributes:
        nmi, ari: over all pictures; the unassigned are one group of their own.
        accuracy: Hungarian, one kind per class, unassigned counted wrong.
        kinds, classes: found and true.
        assigned: share of pictures that belong to a kind.
    """

    nmi: float
    ari: float
    accuracy: float
    kinds: int
    classes: int
    assigned: float


def agreement(truth: Sequence[str], found: Sequence[int]) -> Agreement:
    """Compare hidden classes (N,) with discovered kinds (N,)."""
    found_N = np.asarray(found, dtype=np.int64)
    kinds = np.unique(found_N[found_N != UNASSIGNED])
    return Agreement(
        nmi=float(normalized_mutual_info_score(truth, found_N)),
        ari=float(adjusted_rand_score(truth, found_N)),
        accuracy=hungarian_accuracy(truth, found_N),
        kinds=len(kinds),
        classes=len(set(truth)),
        assigned=float((found_N != UNASSIGNED).mean()),
    )


def hungarian_accuracy(truth: Sequence[str], found: Sequence[int] | np.ndarray) -> float:
    """Share of pictures right under the best one-to-one match of kinds to classes (Kuhn 1955); unassigned are wrong."""
    classes, class_N = np.unique(np.asarray(truth), return_inverse=True)
    found_N = np.asarray(found)
    kinds, kind_N = np.unique(found_N, return_inverse=True)
    table = np.zeros((len(kinds), len(classes)), dtype=np.int64)
    np.add.at(table, (kind_N, class_N), 1)
    table = table[kinds != UNASSIGNED]
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(found_N))
