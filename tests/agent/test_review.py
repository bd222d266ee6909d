"""What is worth a person's look, and in which order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.review import DOUBTFUL, UNASSIGNED, UNCERTAIN, ReviewRow, review
from storage.errors import NotFound
from storage.queries import Queries
from storage.records import Assignments
from storage.store import Store
from tests.ballots import voters
from tests.factories import look_at, pictures, round_of, sha

ONE, TWO = 1, 2


@pytest.fixture
def ids(store: Store, queries: Queries) -> list[int]:
    """Twelve pictures: four in kind 1, the last two in doubt, three in 2, one in doubt, and piles of three and two."""
    ids = store.add(pictures(range(12)))
    store.allocate_clusters(2)
    kinds = dict(zip(ids, [ONE] * 4 + [TWO] * 3 + [None] * 5, strict=True))
    ballot = voters(queries, kinds)
    share, core, pile = ballot.share_RK.copy(), ballot.core_R.copy(), np.full(12, -1)
    share[[2, 3, 6]] = [[0.6, 0.3], [0.5, 0.45], [0.2, 0.6]]
    core[[2, 3, 6]] = False
    pile[7:] = [4, 9, 9, 4, 9]
    ballot = replace(ballot, share_RK=share, core_R=core, pile_N=pile)
    store.add_clustering(round_of(kinds, probability=0.5, voters=ballot.state_dict()))
    return ids


def shown(rows: list[ReviewRow]) -> list[tuple[str, str, int]]:
    return [(row.reason, row.sha256, row.pile) for row in rows]


def test_the_most_uncertain_come_first_and_then_the_biggest_piles(queries: Queries, ids: list[int]) -> None:
    rows = review(queries, None)
    assert shown(rows[:3]) == [(UNCERTAIN, sha(3), 1), (UNCERTAIN, sha(2), 1), (UNCERTAIN, sha(6), 1)]
    assert [(row.reason, row.pile) for row in rows[3:]] == [(UNASSIGNED, 3), (UNASSIGNED, 2)]
    assert {rows[3].sha256, *rows[3].others} == {sha(8), sha(9), sha(11)}
    first = rows[0]
    assert (first.cluster_id, first.runner_up) == (ONE, TWO)
    assert first.margin == pytest.approx(0.05)
    assert all(row.margin is not None and row.margin < DOUBTFUL for row in rows[:3])


def test_the_limit_counts_for_both(queries: Queries, ids: list[int]) -> None:
    assert [row.reason for row in review(queries, 1)] == [UNCERTAIN, UNASSIGNED]


def test_what_only_a_vote_has_placed_is_among_them(store: Store, queries: Queries, ids: list[int]) -> None:
    look_at(store, ids)
    late = store.add(pictures(range(20, 26)))
    chances = np.array([0.52, 0.74, 0.76, 0.4, 0.55, 0.55], dtype=np.float32)
    kinds = np.array([ONE, ONE, ONE, TWO, TWO, TWO])
    store.revise(Assignments(np.array(late), kinds, chances, np.zeros(6, dtype=np.bool_)))
    store.move([sha(25)], ONE, "anna")
    found = [row for row in review(queries, None) if row.reason == UNCERTAIN]
    assert [row.sha256 for row in found] == [sha(n) for n in (23, 20, 3, 24, 2, 6, 21)]
    assert [row.margin for row in found] == pytest.approx([0, 0.04, 0.05, 0.1, 0.3, 0.4, 0.48], abs=1e-6)
    assert [row.sha256 for row in review(queries, 2)][:2] == [sha(23), sha(20)]
    store.hide(TWO, "anna")
    assert [row.sha256 for row in review(queries, 2)][:2] == [sha(20), sha(3)]


def test_a_picture_that_stayed_though_others_have_more_votes_is_the_most_uncertain(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    kinds = dict(zip(ids, [ONE, ONE, ONE, TWO, TWO, TWO, TWO], strict=False))
    ballot = voters(queries, kinds)
    share, core = ballot.share_RK.copy(), ballot.core_R.copy()
    share[[1, 2, 3, 4]] = [[0.45, 0.5], [0.5, 0.45], [0.55, 0.4], [0.9, 0.1]]
    core[[1, 2, 3, 4]] = False
    ballot = replace(ballot, share_RK=share, core_R=core)
    store.add_clustering(round_of(kinds, probability=0.5, voters=ballot.state_dict()))
    first, second, third = (row for row in review(queries, None) if row.reason == UNCERTAIN)
    assert [row.sha256 for row in (first, second, third)] == [sha(3), sha(1), sha(2)]
    assert [(row.cluster_id, row.runner_up) for row in (first, second, third)] == [(TWO, ONE), (ONE, TWO), (ONE, TWO)]
    assert [row.margin for row in (first, second, third)] == pytest.approx([-0.15, -0.05, 0.05])
    assert review(queries, 1)[0].sha256 == sha(3)
    store.hide(TWO, "anna")
    assert [row.sha256 for row in review(queries, None) if row.reason == UNCERTAIN] == [sha(1), sha(2)]


def test_what_people_have_placed_or_hidden_needs_no_look(store: Store, queries: Queries, ids: list[int]) -> None:
    store.move([sha(3)], ONE, "anna")
    store.move([sha(8), sha(7)], TWO, "anna")
    store.hide(TWO, "anna")
    store.forget([sha(9)], "anna")
    assert shown(review(queries, None)) == [
        (UNCERTAIN, sha(2), 1),
        (UNASSIGNED, sha(10), 1),
        (UNASSIGNED, sha(11), 1),
    ]


def test_between_kinds_that_people_have_merged_there_is_no_doubt(
    store: Store, queries: Queries, ids: list[int]
) -> None:
    store.merge([ONE], TWO, "anna")
    assert [row.reason for row in review(queries, None)] == [UNASSIGNED, UNASSIGNED]


def test_without_a_round_there_is_nothing_to_review(store: Store, queries: Queries) -> None:
    with pytest.raises(NotFound, match="recluster"):
        review(queries, None)
