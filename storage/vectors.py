"""Vectors as bytes: float16, little endian. Nothing about where they come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from storage.records import Vectors

FORMAT = np.dtype("<f2")


def to_bytes(vector_D: Vectors) -> bytes:
    """Bytes of one vector (D,), two per dimension."""
    return np.ascontiguousarray(vector_D, dtype=FORMAT).tobytes()


def from_bytes(blob: bytes) -> Vectors:
    """The vector (D,) of these bytes."""
    return np.frombuffer(blob, dtype=FORMAT).astype(np.float16, copy=False)


def stack(blobs: Sequence[bytes]) -> Vectors:
    """Vectors (N, D) of equally long byte strings; (0, 0) when there are none."""
    if not blobs:
        return np.empty((0, 0), dtype=np.float16)
    return from_bytes(b"".join(blobs)).reshape(len(blobs), -1)
