"""Which changes wait for a second round, on matches drawn by hand; `test_lineage.py` has what comes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.matching import Match
from agent.round_context import RoundContext
from agent.second_sight import CLEAR, LASTING, STABLE, SecondSight, homes, without
from storage.records import ClusterRecord, ClusterState
from tests.agent.shapes import drawn

NOTHING = Match({}, {}, (), (), {}, {})
PARTED = replace(NOTHING, heirs={0: (1,)}, children={1: (1,)})
"""Kind 1 lives on in label 0, and label 1 was its part."""
JOINED = replace(NOTHING, heirs={0: (1,)}, absorbed={2: 0})
"""Kind 2 is where kind 1 lives on."""


def kind(number: int, state: ClusterState = ClusterState.ACTIVE, doubted: float | None = None) -> ClusterRecord:
    statistics = {} if doubted is None else {"doubted": doubted}
    return ClusterRecord(number, state, statistics=statistics)


def sight(
    *kinds: ClusterRecord, valley: float = 0.0, new: int = 1, idle: bool = False, stability: float = 0.0
) -> SecondSight:
    """Ten pictures, five of each label."""
    partition = drawn({i: i // 5 for i in range(10)}, stability=stability)
    context = RoundContext(10, new, idle, lambda: 99, valley=lambda one_N, other_N: valley)
    return SecondSight({record.id: record for record in kinds}, np.ones(10, dtype=np.int64), partition, context)


@pytest.mark.parametrize("match", [PARTED, JOINED])
def test_the_first_sight_waits_and_the_second_does_not(match: Match) -> None:
    first = sight(kind(1), kind(2))
    judged, _ = first.judged(match)
    assert (judged.children, judged.absorbed) == ({}, {})
    assert set(first.doubted.values()) == {1.0}
    second = sight(kind(1, doubted=1), kind(2, doubted=1))
    assert second.judged(match) == (match, {})


def test_what_waits_is_still_a_part_of_its_kind() -> None:
    judged, waiting = sight(kind(1)).judged(PARTED)
    assert (judged.heirs, waiting) == ({0: (1,)}, {1: (1,)})
    judged, waiting = sight(kind(1), kind(2)).judged(JOINED)
    assert (judged.heirs, waiting) == ({0: (1, 2)}, {})


@pytest.mark.parametrize(("valley", "doubted", "splits"), [
    (CLEAR, 1.0, True), (CLEAR + 0.01, 1.0, False), (1.0, LASTING - 1.0, False), (1.0, float(LASTING), True),
])  # fmt: skip
def test_parts_split_at_a_valley_or_when_that_lasts(valley: float, doubted: float, splits: bool) -> None:
    asked = sight(kind(1, doubted=doubted), valley=valley)
    assert (asked.judged(PARTED)[0].children != {}) is splits
    assert asked.doubted == ({} if splits else {1: doubted + 1})


def test_nothing_waits_where_half_of_the_window_is_new() -> None:
    assert sight(kind(1), valley=1.0, new=5).judged(PARTED) == (PARTED, {})
    assert sight(kind(1), valley=0.0, new=4).judged(PARTED)[0].children == {}


def test_what_was_never_confirmed_does_not_wait() -> None:
    assert sight(kind(1, ClusterState.PROVISIONAL)).judged(PARTED)[0].children == {1: (1,)}


def test_on_an_idle_stream_stability_is_the_second_sight() -> None:
    assert sight(kind(1), idle=True, stability=STABLE).judged(PARTED)[0].children == {1: (1,)}
    assert sight(kind(1), idle=True, stability=STABLE - 0.01).judged(PARTED)[0].children == {}
    assert sight(kind(1), stability=STABLE).judged(PARTED)[0].children == {}


def test_a_label_between_two_kinds_stays_with_both_unless_it_is_clear_of_one() -> None:
    between = replace(NOTHING, heirs={0: (1,), 2: (2,)}, children={1: (1,), 2: (1,)})
    unclear = sight(kind(1, doubted=1), kind(2, doubted=1), valley=1.0)
    assert unclear.judged(between)[1] == {1: (1, 2)}
    assert unclear.doubted == {1: 2.0, 2: 2.0}
    judged, waiting = sight(kind(1, doubted=1), kind(2, doubted=1), valley=0.0).judged(between)
    assert (judged.children, waiting) == ({1: (1,), 2: (1,)}, {})


def test_homes_and_what_splits_off_from_nobody() -> None:
    assert homes({0: (1, 5), 3: (2,)}) == {1: 0, 5: 0, 2: 3}
    assert without({1: (0, 4), 2: (4,)}, {4}) == {1: (0,)}
