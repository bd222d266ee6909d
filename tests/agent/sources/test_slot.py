from __future__ import annotations

from agent.sources.slot import LatestSlot


def test_the_newest_is_taken_once_and_the_rest_is_counted() -> None:
    slot: LatestSlot[int] = LatestSlot()
    assert slot.take() is None
    for item in (1, 2, 3):
        slot.put(item)
    assert slot.take() == 3
    assert slot.take() is None
    slot.put(4)
    assert slot.take() == 4
    assert (slot.put_count, slot.dropped) == (4, 2)
