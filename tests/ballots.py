"""What a round's votes were made of, for tests that write their rounds themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from agent.space import fit_space
from agent.voters import Voters
from storage.queries import Queries


def voters(queries: Queries, kinds: Mapping[int, int | None], k: int = 3) -> Voters:
    """Everyone stands for himself and, where he has a kind, is core in it."""
    ids_N, innate_ND, _ = queries.embeddings(sorted(kinds), 1)
    kind_N = [kinds[i] for i in ids_N.tolist()]
    kinds_K = np.unique([kind for kind in kind_N if kind is not None]).astype(np.int64)
    share_RK = np.array([[float(kind == one) for one in kinds_K] for kind in kind_N], dtype=np.float32)
    return Voters(
        version=1,
        space=fit_space(innate_ND, None, 64),
        innate_weight=0.5,
        k=k,
        far=-1.0,
        assign=0.3,
        ids_N=ids_N,
        leader_N=np.arange(len(ids_N)),
        core_R=share_RK.sum(axis=1) > 0,
        kinds_K=kinds_K,
        share_RK=share_RK,
        voices=None,
        pile_N=np.where(share_RK.any(axis=1), -1, 0),
    )
