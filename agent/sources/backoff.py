"""How long to wait before the next attempt: longer each time, never in step with others."""

from __future__ import annotations

from random import Random

HEALTHY_S = 60.0
"""What worked for so long may be tried again at once; what fails sooner is not well yet."""


class Backoff:
    """Waits drawn evenly between `least_s` and a ceiling that doubles up to `most_s`.

    Jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def __init__(self, least_s: float, most_s: float, rng: Random) -> None:
        self._least_s, self._most_s = least_s, max(least_s, most_s)
        self._rng = rng
        self._ceiling_s = least_s

    def next_s(self) -> float:
        """How long to wait now; asked once an attempt."""
        self._ceiling_s = min(self._most_s, 2 * self._ceiling_s)
        return self._rng.uniform(self._least_s, self._ceiling_s)

    def worked(self, for_s: float) -> None:
        """The last attempt worked for so long."""
        if for_s >= HEALTHY_S:
            self._ceiling_s = self._least_s
