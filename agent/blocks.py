"""Rows in blocks that fit the caches, on as many threads as this process may use.

numpy and scipy let go of the interpreter while they gather, add and compare, so threads are enough. How many there may
be is what faiss was told (`threads.cluster`). Blocks do not depend on it, so the results do not either.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import faiss

T = TypeVar("T")


def over_blocks(work: Callable[[slice], T], rows: int, block: int) -> list[T]:
    """What `work` says of each block of rows, in order."""
    parts = [slice(start, min(rows, start + block)) for start in range(0, rows, block)]
    threads = min(len(parts), faiss.omp_get_max_threads())
    if threads <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))
