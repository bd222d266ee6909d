from __future__ import annotations

import numpy as np

from agent.config import ClusterConfig
from benchmarks.discovery import Discovery

CONFIG = ClusterConfig(window=2_000)


def islands(count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Class by class, far apart."""
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(classes), count // classes)
    centre_CD = 1.5 * rng.normal(size=(classes, 24))
    return centre_CD[label_N] + rng.normal(size=(len(label_N), 24)), label_N


def test_islands_are_found_keep_their_ids_and_are_told_when() -> None:
    x_ND, label_N = islands(400, 4)
    discovery = Discovery(CONFIG, label_N, seed=0)
    for arrived in (200, 300, 400):
        found = discovery.round(np.arange(arrived), x_ND[:arrived], None, 1, idle=arrived == 400)
        assert found.classes == arrived // 100
        assert found.kinds == found.classes
        assert found.nmi > 0.99
    assert discovery.kept == [1.0, 1.0]
    assert discovery.delay_of.keys() == {0, 1, 2, 3}
    assert all(0 < delay <= 100 for delay in discovery.delay_of.values())


def test_what_never_stands_out_is_never_discovered() -> None:
    rng = np.random.default_rng(0)
    label_N = np.repeat(np.arange(3), 60)
    discovery = Discovery(CONFIG, label_N, seed=0)
    discovery.round(rng.permutation(180), rng.normal(size=(180, 24)), None, 1, idle=True)
    assert discovery.delay_of == {}


def test_a_glance_changes_nothing_of_what_follows() -> None:
    x_ND, label_N = islands(240, 3)
    looked, undisturbed = (Discovery(CONFIG, label_N, seed=0) for _ in range(2))
    for arrived in (160, 240):
        seen = np.arange(arrived - 40)
        assert looked.glance(seen, x_ND[seen], None, 1).kinds > 0
        for discovery in (looked, undisturbed):
            discovery.round(np.arange(arrived), x_ND[:arrived], None, 1)
    assert looked.records == undisturbed.records
    assert looked.assignments.cluster_N.tolist() == undisturbed.assignments.cluster_N.tolist()
    assert (looked.delay_of, looked.kept) == (undisturbed.delay_of, undisturbed.kept)


def test_delays_count_pictures_outside_of_the_window_too() -> None:
    x_ND, label_N = islands(400, 4)
    discovery = Discovery(CONFIG, label_N, seed=0)
    window_N = np.arange(0, 400, 2)
    discovery.round(window_N, x_ND[window_N], None, 1, idle=True, arrived_M=np.arange(400))
    assert discovery.delay_of == dict.fromkeys(range(4), 100)
