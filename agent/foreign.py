"""What is so unlike everything else that it does not belong even where there is one kind only.

The space in which kinds are looked for cannot tell: it is centred and of unit length, so whatever lies far from
everyone becomes a direction like others, and its walks end in the one kind there is. The innate embedding as it is can:
what belongs together is about equally far from its centre. It knows nothing about kinds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.space import Points, unit

# Spreads above the median at which it begins; of Gaussians of any width fewer than one in 15,000 lie there.
FOREIGN = 5.0
# Standard deviation of a Gaussian over its median absolute deviation.
SPREAD = 1.4826
# Smallest spread: below it float16 vectors tell nothing.
NARROW = 1e-3
# No distance is longer than this: nobody is foreign.
NOBODY = 3.0


# Embeddings looked at in one go: those of a window have half a gigabyte in float32.
CHUNK = 1_024


def apart(innate_ND: NDArray[np.floating], centre_D: Points) -> Points:
    """Distance of the directions of innate embeddings, not centred, to that of their centre, (N,), 0 to 2."""
    centre_D, cosine_N = unit(centre_D[None])[0], np.empty(len(innate_ND), dtype=np.float32)
    for start in range(0, len(innate_ND), CHUNK):
        part = slice(start, start + CHUNK)
        cosine_N[part] = unit(innate_ND[part]) @ centre_D
    return np.sqrt(np.maximum(0, 2 - 2 * cosine_N))


def foreign_beyond(apart_N: Points) -> float:
    """The distance beyond which something is foreign among N others, by their median and its absolute deviation."""
    middle = float(np.median(apart_N))
    spread = SPREAD * float(np.median(np.abs(apart_N - middle)))
    return middle + FOREIGN * max(NARROW, spread)
