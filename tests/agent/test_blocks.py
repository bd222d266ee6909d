"""Blocks are a matter of speed: what they say does not depend on how many threads there are."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import pytest

from agent.blocks import over_blocks


@pytest.fixture(params=[1, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(request.param)
    yield request.param
    faiss.omp_set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_every_row_is_in_one_block_and_they_come_in_order() -> None:
    said = over_blocks(lambda rows: list(range(rows.start, rows.stop)), 23, 5)
    assert [len(block) for block in said] == [5, 5, 5, 5, 3]
    assert [row for block in said for row in block] == list(range(23))
    assert over_blocks(lambda rows: rows, 0, 5) == []


@pytest.mark.usefixtures("threads")
def test_what_a_block_raises_is_raised() -> None:
    def fail(rows: slice) -> None:
        if rows.start == 10:
            raise ValueError("no such row")

    with pytest.raises(ValueError, match="no such row"):
        over_blocks(fail, 23, 5)
