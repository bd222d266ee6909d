"""Alphabets out of fonts: what has all letters, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from PIL import Image

from benchmarks.letters import LETTERS, SIDE_PX, main

FONTS = Path(get_data_path(), "fonts", "ttf")


def test_each_letter_has_a_folder_with_a_picture_of_each_font(tmp_path: Path) -> None:
    for name in ("DejaVuSans.ttf", "DejaVuSerif.ttf"):
        (tmp_path / name).write_bytes((FONTS / name).read_bytes())
    (tmp_path / "the same again.ttf").write_bytes((FONTS / "DejaVuSans.ttf").read_bytes())
    (tmp_path / "torn.ttf").write_bytes((FONTS / "DejaVuSans.ttf").read_bytes()[:5_000])
    (tmp_path / "no letters.ttf").write_bytes((FONTS / "STIXSizOneSymReg.ttf").read_bytes())
    assert main(["--fonts", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(LETTERS)
    for letter in LETTERS:
        pictures = [Image.open(path) for path in sorted((tmp_path / "out" / letter).iterdir())]
        assert len(pictures) == 2
        assert all(picture.size == (SIDE_PX, SIDE_PX) for picture in pictures)
        assert all(0.01 < (np.asarray(picture) < 128).mean() < 0.5 for picture in pictures)
