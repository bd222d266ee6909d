"""What a round knows about the stream and the window, beside the kinds: for identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from storage.records import Assignments, ClusterRecord


@dataclass(frozen=True, slots=True)
class RoundContext:
    """What the round knows about the stream.

    Attributes:
        newest_picture: id of the newest picture of the archive.
        new_pictures: how many arrived since the last round.
        idle: nothing arrives; then stability confirms what new pictures cannot.
        new_id: gives an id that was never used; asked once for each new kind.
        shown: what people see of assignments, by kinds that are new too, with their corrections; what they see grow is
            not dormant.
        seen_through: id of the newest picture of the last round; what came later has had no more than a vote, which
            makes it no member of a kind that might split.
        leaders: pictures that people put into kinds which they made, and those kinds.
        valley: density between two groups of the partition's pictures over the lower of their peaks.
    """

    newest_picture: int
    new_pictures: int
    idle: bool
    new_id: Callable[[], int]
    shown: Callable[[Assignments, Sequence[ClusterRecord]], Assignments] = lambda assignments, born: assignments
    seen_through: int | None = None
    leaders: Mapping[int, int] = field(default_factory=dict)
    valley: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float] = lambda one_N, other_N: 0.0
