from __future__ import annotations

import numpy as np

from storage.facts import Fact
from storage.overrule import overrule, rows_of
from tests.factories import assign

SAID = assign({1: 10, 2: 10, 3: 20, 4: None}, probability=0.5)


def folded(*facts: Fact) -> tuple[dict[int, int], list[bool]]:
    wanted, decided_N = overrule(SAID, facts)
    return dict(zip(wanted.picture_N.tolist(), wanted.cluster_N.tolist(), strict=True)), decided_N.tolist()


def test_without_facts_the_agent_decides() -> None:
    assert folded() == ({1: 10, 2: 10, 3: 20, 4: -1}, [False] * 4)


def test_a_merge_takes_all_of_its_kinds_and_a_move_its_pictures() -> None:
    assert folded(Fact(1, 20, kinds=(10,))) == ({1: 20, 2: 20, 3: 20, 4: -1}, [True, True, False, False])
    assert folded(Fact(1, 20, pictures=(1, 4, 99))) == ({1: 20, 2: 10, 3: 20, 4: 20}, [True, False, False, True])


def test_later_facts_see_what_earlier_ones_did() -> None:
    moved, merged = Fact(1, 20, pictures=(1,)), Fact(2, 30, kinds=(20,))
    assert folded(moved, merged)[0] == {1: 30, 2: 10, 3: 30, 4: -1}
    assert folded(merged, moved)[0] == {1: 20, 2: 10, 3: 30, 4: -1}


def test_what_was_placed_by_hand_is_certain_and_what_was_merged_is_as_the_agent_says() -> None:
    wanted, _ = overrule(SAID, [Fact(1, 20, pictures=(1,)), Fact(2, 20, kinds=(10,))])
    assert wanted.probability_N.tolist() == [1, 0.5, 0.5, 0.5]
    assert wanted.core_N.tolist() == [False, True, True, False]
    assert rows_of(SAID, np.array([False, True, False, True])).picture_N.tolist() == [2, 4]
