"""Memory that a training step lets go of is kept for the next one.

glibc gives freed memory back to the system once 64 MB of it lie together, and a step that needs more than that gets it
back page by page: steps of the small network (`configs/scratch.yaml`) took 1.16 times as long (207 ms against 179 ms,
medians of 64 that took turns). Those of the default network, whose tensors are smaller, took as long either way.
"""

from __future__ import annotations

import ctypes

KEPT_MB = 512
# Of glibc's malloc.h; what is larger than the second still goes back at once.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD_MB = 32


def keep_freed_memory() -> bool:
    """Keep up to KEPT_MB of freed memory in this process; False where the C library is another, and nothing changes."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # The one alone would have glibc stop raising the other from its 128 kB.
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD_MB << 20) and mallopt(TRIM_THRESHOLD, KEPT_MB << 20))
