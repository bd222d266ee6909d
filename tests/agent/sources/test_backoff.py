from __future__ import annotations

from random import Random

from agent.sources.backoff import HEALTHY_S, Backoff


def test_waits_grow_from_the_least_to_the_most_and_differ() -> None:
    series = [Backoff(1, 60, Random(seed)).next_s() for seed in range(50)]
    assert all(1 <= wait_s <= 2 for wait_s in series)
    assert len(set(series)) == 50
    many = [[backoff.next_s() for _ in range(12)] for backoff in (Backoff(1, 60, Random(seed)) for seed in range(300))]
    for attempt, ceiling_s in enumerate((2, 4, 8, 16, 32, 60, 60, 60)):
        waits = [one[attempt] for one in many]
        assert min(waits) >= 1
        assert 0.95 * ceiling_s < max(waits) <= ceiling_s


def test_only_what_worked_for_a_while_is_tried_again_at_once() -> None:
    backoff = Backoff(1, 60, Random(0))
    for _ in range(10):
        backoff.next_s()
    backoff.worked(HEALTHY_S - 1)
    assert max(backoff.next_s() for _ in range(20)) > 30
    backoff.worked(HEALTHY_S)
    assert backoff.next_s() <= 2
