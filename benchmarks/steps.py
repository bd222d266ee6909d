"""What the steps of a round cost, and what ours cost beside the libraries' own.

    python -m benchmarks.steps --n 50000 --json

On the overlapping points of `benchmarks.clustering`, k = 30 and 8 diffusion steps, one thread, best of three.
`forest_s` stands beside scipy's minimum spanning tree (`scipy_forest_s`) on the same edges, `labels_s` beside hdbscan's
own labelling of the same tree (`hdbscan_labels_s`). With n up to 5,000 also `ari_searched`: agreement with hdbscan on
the diffused points if neighbours were searched anew among them, beside `ari_diffused`, with the graph as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import faiss
import numpy as np
from hdbscan import HDBSCAN
from hdbscan._hdbscan_linkage import label as hdbscan_labels
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.cluster._hierarchical_fast import single_linkage_label
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from agent.graph import Graph, diffuse, measured, neighbour_graph
from agent.neighbours import Neighbours
from agent.propagation import propagate
from agent.space import Points, unit
from agent.tree import core_distances, forest, linkage, select, spanning_tree
from benchmarks.clustering import BATCH, EXACT_UP_TO, synthetic

K, DIFFUSION, MIN_SAMPLES, MIN_CLUSTER_SIZE = 30, 8, 5, 60
SEARCHED_UP_TO = EXACT_UP_TO // 4
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        found = measure(unit(synthetic(options.n + BATCH, options).innate_ND))
    print(json.dumps(found, indent=1) if options.json else "\n".join(f"{k:18} {v}" for k, v in found.items()))
    return 0


def measure(points_ND: Points) -> dict[str, Any]:
    """Seconds of each step; the last BATCH points are the newcomers."""
    resident_ND, new_MD = points_ND[:-BATCH], points_ND[-BATCH:]
    table = Neighbours(K, points_ND.shape[1])
    for start in range(0, len(resident_ND), BATCH):
        part = resident_ND[start : start + BATCH]
        table.insert(part, np.arange(start, start + len(part)), table.meet(part))
    graph = table.graph()
    meet_s, pairs = best(lambda: table.meet(new_MD, 0.05))
    insert_s, _ = timed(lambda: table.insert(new_MD, np.arange(len(resident_ND), len(points_ND)), pairs))
    remove_s, _ = timed(lambda: table.remove(np.arange(BATCH)))
    diffuse_s, diffused_ND = best(lambda: diffuse(resident_ND, graph.neighbour_NK, DIFFUSION))
    measure_s, moved = best(lambda: measured(diffused_ND, graph))
    weight_NK = reach(moved)
    forest_s, _ = best(lambda: forest(graph.neighbour_NK, weight_NK))
    scipy_s, _ = best(lambda: scipy_forest(graph, weight_NK))
    edges_E3 = spanning_tree(diffused_ND, moved, MIN_SAMPLES)
    labels_s, tree = best(lambda: single_linkage_label(edges_E3))
    hdbscan_s, _ = best(lambda: hdbscan_labels(edges_E3))
    select_s, flat = best(lambda: select(np.asarray(tree), MIN_CLUSTER_SIZE, "eom"))
    propagate_s, _ = best(lambda: propagate(graph.neighbour_NK, flat.label_N, len(flat.parent_K)))
    return {
        "n": len(resident_ND),
        "meet_s": meet_s,
        "insert_s": insert_s,
        "remove_s": remove_s,
        "diffuse_s": diffuse_s,
        "measure_s": measure_s,
        "forest_s": forest_s,
        "scipy_forest_s": scipy_s,
        "labels_s": labels_s,
        "hdbscan_labels_s": hdbscan_s,
        "select_s": select_s,
        "propagate_s": propagate_s,
        **after_diffusion(diffused_ND, moved),
    }


def reach(graph: Graph) -> Points:
    """Mutual reachability of the edges."""
    core_N = core_distances(graph, MIN_SAMPLES)
    return np.maximum(graph.distance_NK, np.maximum(core_N[:, None], core_N[graph.neighbour_NK])) + np.float32(1e-6)


def scipy_forest(graph: Graph, weight_NK: Points) -> csr_array:
    """As one would write it."""
    count, k = graph.neighbour_NK.shape
    starts = np.arange(0, count * k + 1, k)
    weights = weight_NK.ravel().astype(np.float64)
    return minimum_spanning_tree(csr_array((weights, graph.neighbour_NK.ravel(), starts), shape=(count, count)))


def after_diffusion(diffused_ND: Points, moved: Graph) -> dict[str, Any]:
    """What keeping the neighbours from before diffusion costs in agreement with hdbscan."""
    if len(diffused_ND) > SEARCHED_UP_TO:
        return {"ari_diffused": None, "ari_searched": None, "k_hdbscan": None, "k_ours": None}
    model = HDBSCAN(MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES, approx_min_span_tree=False)
    label_N = model.fit_predict(diffused_ND.astype(np.float64))
    ours_N, searched_N = (
        select(linkage(spanning_tree(diffused_ND, graph, MIN_SAMPLES)), MIN_CLUSTER_SIZE, "eom").label_N
        for graph in (moved, neighbour_graph(diffused_ND, K))
    )
    return {
        "ari_diffused": round(float(adjusted_rand_score(label_N, ours_N)), 3),
        "ari_searched": round(float(adjusted_rand_score(label_N, searched_N)), 3),
        "k_hdbscan": int(label_N.max()) + 1,
        "k_ours": int(ours_N.max()) + 1,
    }


def best(work: Callable[[], T]) -> tuple[float, T]:
    """The shortest of three, and the last result."""
    runs = [timed(work) for _ in range(3)]
    return min(seconds for seconds, _ in runs), runs[-1][1]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return round(time.perf_counter() - started, 3), result


if __name__ == "__main__":
    sys.exit(main())
