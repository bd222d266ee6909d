"""What a round's votes were made of, small enough to be kept with the round, so that others can ask why.

The clusterer's space lives on from round to round and was fitted to pictures that have left the window since, and to
find who stands for whom all of them must be compared: no reader could find the one again, or would wait for the other.
So they are kept, with each observation's shares. The points are not: they follow from the stored vectors, and what
people have had forgotten must not live on in a copy.

It knows nothing of storage; arrays become text that any JSON holds.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.foreign import NOBODY
from agent.space import Points, Space
from agent.voices import Voices

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Voters:
    """One round, as far as votes need it: N pictures of the window, R observations that stand for them.

    Attributes:
        version: of the encoder.
        space: in which neighbours are looked for.
        innate_weight: of the configuration; that of `space` is 1 where nothing was learned yet.
        k: neighbours that vote.
        far: mean cosine to them below which a picture lies outside.
        assign: share of the votes below which a picture stays unassigned.
        ids_N: picture ids, ascending.
        leader_N: row among them of who stands for each.
        core_R: whether HDBSCAN itself put the observation into its kind.
        kinds_K: cluster ids.
        share_RK: of the observations' walks, those that end in each.
        voices: who speaks for kinds that people made; None where they made none.
        pile_N: number of the pile that a picture without a kind lies in (`agent.piles`), -1 for those with one.
        foreign_beyond: innate distance to the centre beyond which a picture is foreign to the one kind there is.
    """

    version: int
    space: Space
    innate_weight: float
    k: int
    far: float
    assign: float
    ids_N: Rows
    leader_N: Rows
    core_R: NDArray[np.bool_]
    kinds_K: Rows
    share_RK: Points
    voices: Voices | None
    pile_N: Rows
    foreign_beyond: float = NOBODY

    @property
    def row_R(self) -> Rows:
        """Rows of the observations, ascending."""
        return np.unique(self.leader_N)

    def observation(self, picture_id: int) -> int | None:
        """Number of the observation that stands for a picture; None where the window does not hold it."""
        row = int(np.searchsorted(self.ids_N, picture_id))
        if row == len(self.ids_N) or self.ids_N[row] != picture_id:
            return None
        return int(np.searchsorted(self.row_R, self.leader_N[row]))

    # ---------------------------------------------------------------- memory

    def state_dict(self) -> dict[str, object]:
        """Plain values."""
        row_E, kind_E = np.nonzero(self.share_RK)
        learned = self.space.learned_mean_D
        return {
            "version": self.version,
            "innate_weight": self.innate_weight,
            "k": self.k,
            "far": self.far,
            "foreign_beyond": self.foreign_beyond,
            "assign": self.assign,
            "space_innate_weight": self.space.innate_weight,
            "innate_mean": packed(self.space.innate_mean_D),
            "learned_mean": None if learned is None else packed(learned),
            "mean": packed(self.space.mean_D),
            "axes": packed(self.space.axes_DP),
            "ids": packed(self.ids_N),
            "leaders": packed(self.leader_N.astype(np.uint32)),
            "core": packed(self.core_R.astype(np.uint8)),
            "kinds": packed(self.kinds_K),
            "share_rows": packed(row_E.astype(np.uint32)),
            "share_kinds": packed(kind_E.astype(np.uint32)),
            "shares": packed(self.share_RK[row_E, kind_E]),
            "voices": None if self.voices is None else [packed(self.voices.of_N), packed(self.voices.voice_N)],
            "piles": packed(self.pile_N.astype(np.int32)),
        }

    @classmethod
    def of_state(cls, state: Mapping[str, object]) -> Voters:
        """From `state_dict`.

        Raises:
            ValueError: if it is not such a state.
        """
        try:
            return cls._of_state(state)
        except (KeyError, TypeError, zlib.error) as error:
            raise ValueError(f"not what a round's votes are made of ({error}); `recluster` writes it anew") from error

    @classmethod
    def _of_state(cls, state: Mapping[str, object]) -> Voters:
        learned = state["learned_mean"]
        space = Space(
            unpacked(state["innate_mean"]),
            None if learned is None else unpacked(learned),
            unpacked(state["mean"]),
            unpacked(state["axes"]),
            _number(state["space_innate_weight"]),
        )
        core_R, kinds_K = unpacked(state["core"]).astype(np.bool_), unpacked(state["kinds"])
        share_RK = np.zeros((len(core_R), len(kinds_K)), dtype=np.float32)
        share_RK[unpacked(state["share_rows"]), unpacked(state["share_kinds"])] = unpacked(state["shares"])
        return cls(
            version=int(_number(state["version"])),
            space=space,
            innate_weight=_number(state["innate_weight"]),
            k=int(_number(state["k"])),
            far=_number(state["far"]),
            assign=_number(state["assign"]),
            ids_N=unpacked(state["ids"]),
            leader_N=unpacked(state["leaders"]).astype(np.int64),
            core_R=core_R,
            kinds_K=kinds_K,
            share_RK=share_RK,
            voices=_voices(state.get("voices")),
            pile_N=unpacked(state["piles"]).astype(np.int64),
            foreign_beyond=_number(state.get("foreign_beyond", NOBODY)),
        )


def by_kind(share_RL: Points, kind_of: Callable[[int], int]) -> tuple[Rows, Points]:
    """Shares of labels as shares of cluster ids: ids (K,), ascending, and shares (R, K); those of none are left out."""
    kind_L = np.array([kind_of(label) for label in range(share_RL.shape[1])], dtype=np.int64)
    kinds_K = np.unique(kind_L[kind_L >= 0])
    share_RK = np.zeros((len(share_RL), len(kinds_K)), dtype=np.float32)
    for label, kind in enumerate(kind_L.tolist()):
        if kind >= 0:
            share_RK[:, np.searchsorted(kinds_K, kind)] += share_RL[:, label]
    return kinds_K, share_RK


def packed(array: NDArray[Any]) -> dict[str, object]:
    """An array as text, with its type and shape."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = base64.b64encode(zlib.compress(little.tobytes(), 1)).decode("ascii")
    return {"type": little.dtype.str, "shape": list(array.shape), "data": data}


def unpacked(value: object) -> NDArray[Any]:
    """The array that was packed.

    Raises:
        TypeError, KeyError, ValueError: it is none.
    """
    if not isinstance(value, Mapping):
        raise TypeError("an array is missing")
    content = zlib.decompress(base64.b64decode(value["data"]))
    return np.frombuffer(content, dtype=np.dtype(value["type"])).reshape(value["shape"])


def _voices(value: object) -> Voices | None:
    if not isinstance(value, list):
        return None
    of_R, voice_R = value
    return Voices(unpacked(of_R), unpacked(voice_R))


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("a number is missing")
    return float(value)
