"""Labelled pictures as files, for measuring only: the agent never sees a label.

`digits` is always there (scikit-learn ships it), and so are `glyphs` and `beads` (drawn); `tiny20`, `cifar10` and
`cifar10-test` are read from zip files under `TAXON_DATASETS` (default `../shared/data` beside the repository); any
folder of class folders works too.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image

Part = Literal["all", "choose", "report"]
ARCHIVES = {
    "tiny20": ("tiny20.zip", ""), "cifar10": ("cifar10.zip", "train/"), "cifar10-test": ("cifar10.zip", "test/"),
}  # fmt: skip
"""Name -> zip file, and the folder of class folders in it."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


class DatasetAbsent(Exception):
    """The data set is not on this machine; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """An encoded picture and the class that the agent must find by itself."""

    label: str
    name: str
    data: bytes


def datasets_folder() -> Path:
    default = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
    return Path(os.environ.get("TAXON_DATASETS", default))


def load(
    name: str, classes: int, per_class: int, seed: int = 0, *, skip: int = 0, part: Part = "all"
) -> list[LabelledPicture]:
    """Pictures of `classes` classes, class by class, `per_class` of each drawn by `seed`.

    Args:
        name: `digits`, `glyphs`, `beads`, one of `ARCHIVES`, or the path of a folder of class folders.
        skip: leaves out so many of the draw, so that two calls give disjoint pictures.
        part: two classes in three, by which settings may be chosen, or the third, on which they are reported.

    Raises:
        DatasetAbsent: the data set is not here.
    """
    groups: dict[str, list[LabelledPicture]] = defaultdict(list)
    for picture in _pictures(name):
        groups[picture.label].append(picture)
    rng = np.random.default_rng(seed)
    chosen = []
    labels = [label for i, label in enumerate(sorted(groups)) if part == "all" or (i % 3 == 2) == (part == "report")]
    for label in labels[:classes]:
        group = sorted(groups[label], key=lambda picture: picture.name)
        picks = rng.permutation(len(group))[skip : skip + per_class]
        chosen += [group[i] for i in picks]
    return chosen


def _pictures(name: str) -> Iterator[LabelledPicture]:
    if name == "digits":
        return _digits()
    if name == "glyphs":
        return _glyphs()
    if name == "beads":
        return _beads()
    if name in ARCHIVES:
        archive, folder = ARCHIVES[name]
        return _zipped(datasets_folder() / archive, folder)
    return _folder(Path(name))


def _digits() -> Iterator[LabelledPicture]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for i, (image_HW, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        picture = Image.fromarray((image_HW * (255 / 16)).astype(np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
        encoded = io.BytesIO()
        picture.save(encoded, "PNG")
        yield LabelledPicture(str(label), f"{i:05d}.png", encoded.getvalue())


def _glyphs(per_class: int = 300) -> Iterator[LabelledPicture]:
    """Signs in the fonts that matplotlib brings, of any size, place, slant and colours, under noise."""
    from matplotlib import get_data_path
    from PIL import ImageDraw, ImageFont

    fonts = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVu*.ttf"))
    fonts = [path for path in fonts if "Display" not in path.name]
    rng = np.random.default_rng(0)
    for number, sign in enumerate("AEGKMRSXYQ&%@#8"):
        for i in range(per_class):
            colours = rng.integers(0, 256, (2, 3))
            while abs(int(colours[0].sum()) - int(colours[1].sum())) < 200:
                colours = rng.integers(0, 256, (2, 3))
            layer = Image.new("L", (96, 96))
            font = ImageFont.truetype(str(fonts[rng.integers(len(fonts))]), int(rng.integers(36, 72)))
            ImageDraw.Draw(layer).text(tuple(rng.integers(30, 66, 2).tolist()), sign, 255, font, anchor="mm")
            mask_HW1 = np.asarray(layer.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC))[..., None] / 255
            noisy = colours[0] * mask_HW1 + colours[1] * (1 - mask_HW1) + rng.normal(0, 12, (96, 96, 3))
            encoded = io.BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(encoded, "PNG")
            yield LabelledPicture(f"{number:02d}", f"{i:05d}.png", encoded.getvalue())


def _beads(per_class: int = 300) -> Iterator[LabelledPicture]:
    """Heaps of beads whose hue is the class and nothing else is: shape, number, light and ground are chance."""
    from PIL import ImageColor, ImageDraw

    rng = np.random.default_rng(0)
    for number in range(10):
        for i in range(per_class):
            picture = Image.new("RGB", (96, 96), tuple([int(rng.integers(40, 216))] * 3))
            pencil = ImageDraw.Draw(picture)
            draw = pencil.ellipse if rng.random() < 0.5 else pencil.rectangle
            hue, saturation = 36 * number + rng.uniform(-9, 9), rng.uniform(45, 95)
            for _ in range(rng.integers(3, 15)):
                (x, y), (width, height) = rng.integers(0, 80, 2), rng.integers(8, 30, 2)
                colour = f"hsl({(hue + rng.uniform(-4, 4)) % 360:.0f}, {saturation:.0f}%, {rng.uniform(30, 70):.0f}%)"
                draw((int(x), int(y), int(x + width), int(y + height)), fill=ImageColor.getrgb(colour))
            noisy = np.asarray(picture) + rng.normal(0, 8, (96, 96, 3))
            encoded = io.BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(encoded, "PNG")
            yield LabelledPicture(f"{number:02d}", f"{i:05d}.png", encoded.getvalue())


def _zipped(path: Path, prefix: str) -> Iterator[LabelledPicture]:
    if not path.is_file():
        raise DatasetAbsent(f"{path} is absent; set TAXON_DATASETS to the folder that holds it")
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.namelist()):
            inner = PurePosixPath(member.removeprefix(prefix))
            if member.startswith(prefix) and inner.suffix.lower() in SUFFIXES:
                yield LabelledPicture(inner.parts[0], inner.name, archive.read(member))


def _folder(root: Path) -> Iterator[LabelledPicture]:
    if not root.is_dir():
        raise DatasetAbsent(f"{root} is no folder of class folders")
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield LabelledPicture(path.relative_to(root).parts[0], path.name, path.read_bytes())
