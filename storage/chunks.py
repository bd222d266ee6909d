"""Long lists in pieces that fit a statement's parameters, or a transaction that must not hold up others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

PARAMETERS = 1_000
"""Values in one `IN (...)`."""

T = TypeVar("T")


def chunks(items: Sequence[T], size: int = PARAMETERS) -> Iterator[Sequence[T]]:
    """Consecutive slices of at most `size` items."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
