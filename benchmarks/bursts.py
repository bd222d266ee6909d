"""Whether bursts make kinds: streams of near copies, clustered with and without counting a burst as one observation.

    python -m benchmarks.bursts --json
    python -m benchmarks.bursts --set digits --seed 0 --visits 30 --frames 48

Each picture of a labelled set is a visit: a track of 1 to 16 slightly moved frames, as a camera makes them (`copies`).
In `films` both films of the data folder, five frames a second, lie among stills of `tiny20`: each film is one class.
The real clusterer sees innate embeddings of the default network. `nmi`, `ari`, `accuracy` and `kinds` are those of all
pictures with the default configuration, those `_untracked` without tracks, those `_without` with near copies as
observations of their own as well, and `_stills` is what there is to be had from the first frame of each visit alone.
NMI likes many small kinds, accuracy does not.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cores import share_cores

share_cores()  # as the daemon does, before numpy is imported

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.config import ClusterConfig, Config
from agent.device import resolve_device
from agent.encoder import Encoder, build_encoder
from benchmarks.datasets import DatasetAbsent, LabelledPicture, datasets_folder, load
from benchmarks.discovery import kinds_at_once
from benchmarks.metrics import Agreement
from benchmarks.trial import labelled

CACHE = Path(tempfile.gettempdir()) / "taxon-embeddings"
SETS = ("digits", "glyphs", "tiny20", "cifar10", "films")
CLASSES = 10
STILLS = 60
"""Of each class, beside the films."""

FILM_FPS = 5.0
AT_ONCE = 20

Stream = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.int64]]
"""Innate embeddings (N, D), classes (N,), visits (N,)."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    lengths = (options.visits, options.frames)
    runs = [one_run(name, int(seed), *lengths) for name in options.set.split(",") for seed in options.seed.split(",")]
    if options.json:
        print(json.dumps({**means(runs), "runs": runs}, indent=1))
    else:
        print("\n".join(map(str, runs)))
    return 0


WAYS = ("", "_untracked", "_without", "_stills")
KEYS = tuple(f"{figure}{way}" for figure in ("nmi", "ari", "accuracy", "kinds") for way in WAYS)


def means(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Of each set over its seeds."""
    names = dict.fromkeys(run["set"] for run in runs)
    return {
        name: {key: round(statistics.fmean(run[key] for run in runs if run["set"] == name), 4) for key in KEYS}
        for name in names
    }


def one_run(name: str, seed: int, visits: int, frames: int) -> dict[str, Any]:
    """One stream, clustered four times."""
    innate_ND, class_N, visit_N = kept(name, seed, visits, frames)
    config = Config().cluster
    untracked = config.model_copy(update={"track": 0.0})
    alone = config.model_copy(update={"track": 0.0, "near_copy": 1.0})
    first_N = np.unique(visit_N, return_index=True)[1]
    found = (
        clustered(config, innate_ND, class_N, seed),
        clustered(untracked, innate_ND, class_N, seed),
        clustered(alone, innate_ND, class_N, seed),
        clustered(config, innate_ND[first_N], class_N[first_N], seed),
    )
    return {
        "set": name, "seed": seed, "pictures": len(visit_N), "visits": len(first_N), "classes": len(set(class_N)),
        **{key: round(getattr(one, key.partition("_")[0]), 4) for key, one in zip(KEYS, found * 4, strict=True)},
    }  # fmt: skip


def clustered(config: ClusterConfig, innate_ND: NDArray[np.float32], class_N: NDArray[np.str_], seed: int) -> Agreement:
    """Agreement of the kinds of one round with the classes."""
    number_N = np.unique(class_N, return_inverse=True)[1]
    return kinds_at_once(config, number_N.astype(np.int64), innate_ND, None, seed)


# -------------------------------------------------------------------- streams


def kept(name: str, seed: int, visits: int, frames: int) -> Stream:
    """The stream of a set, embedded once and kept in a file."""
    path = CACHE / f"bursts-{name}-{CLASSES}x{visits}x{frames}-{seed}.npz"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        innate_ND, class_N, visit_N = films(seed) if name == "films" else copies(name, seed, visits, frames)
        np.savez(path, innate_ND=innate_ND, class_N=class_N, visit_N=visit_N)
    with np.load(path) as stored:
        return stored["innate_ND"], stored["class_N"], stored["visit_N"]


def copies(name: str, seed: int, visits: int, frames: int) -> Stream:
    """Each picture as a track of near copies, of a length by chance."""
    pictures, see = load(name, CLASSES, visits, seed), eye()
    length_V = np.random.default_rng(seed).integers(1, frames + 1, len(pictures))
    tracks = [see(pictures[start : start + AT_ONCE], frames) for start in range(0, len(pictures), AT_ONCE)]
    track_VFD = np.concatenate(tracks).reshape(len(pictures), frames, -1)
    innate_ND = np.concatenate([track[:length] for track, length in zip(track_VFD, length_V, strict=True)])
    class_V = np.array([picture.label for picture in pictures])
    return innate_ND, np.repeat(class_V, length_V), np.repeat(np.arange(len(pictures)), length_V)


def films(seed: int) -> Stream:
    """Two films among stills; a film is one class, and one visit."""
    stills, see = load("tiny20", CLASSES, STILLS, seed), eye()
    folder = datasets_folder() / "video"
    shown = [picture for path in sorted(folder.glob("*.mp4")) for picture in frames_of(path)]
    if not shown:
        raise DatasetAbsent(f"there are no films in {folder}")
    pictures = [*stills, *shown]
    innate_ND = np.concatenate([see(pictures[i : i + AT_ONCE], 1) for i in range(0, len(pictures), AT_ONCE)])
    class_N = np.array([picture.label for picture in pictures])
    film_N = np.unique(class_N[len(stills) :], return_inverse=True)[1]
    return innate_ND, class_N, np.concatenate([np.arange(len(stills)), len(stills) + film_N])


def frames_of(path: Path) -> Iterator[LabelledPicture]:
    """FILM_FPS frames of each second of a film."""
    with av.open(str(path)) as film:
        due_s = 0.0
        for frame in film.decode(video=0):
            if frame.time is not None and frame.time >= due_s:
                due_s += 1 / FILM_FPS
                yield LabelledPicture(
                    path.stem, f"{frame.time:.3f}", png(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8))
                )


def eye() -> Callable[[Sequence[LabelledPicture], int], NDArray[np.float32]]:
    """Pictures, and how many frames each is to become, to innate embeddings by the default network as it is born."""
    config = Config()
    device = resolve_device(config.device)
    encoder: Encoder = build_encoder(config.encoder, config.seed).to(device)
    return lambda pictures, frames: labelled(pictures, encoder, device, frames).innate_ND


def png(pixels_HWC: NDArray[np.uint8]) -> bytes:
    """As a file."""
    file = io.BytesIO()
    Image.fromarray(pixels_HWC).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bursts", description=__doc__.splitlines()[0])
    parser.add_argument("--set", default=",".join(SETS), help="several with commas")
    parser.add_argument("--seed", default="0,1,2", help="several with commas")
    parser.add_argument("--visits", type=int, default=40, help="of each class, but for films")
    parser.add_argument("--frames", type=int, default=16, help="of the longest visit; each has 1 to so many")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
