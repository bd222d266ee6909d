"""The stream of handwritten digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from agent.demo import stream, write_digits


def test_all_digits_come_digit_by_digit() -> None:
    names = [name for name, _ in stream(0)]
    assert len(names) == len(set(names)) == 1797
    assert names == sorted(names)
    assert [name for name, _ in stream(0)] == names


def test_the_seed_shuffles_within_a_digit() -> None:
    one, same, other = (np.stack([pixels for _, pixels in stream(seed)]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_files_that_are_there_are_not_written_again(tmp_path: Path) -> None:
    pauses: list[float] = []
    assert write_digits(tmp_path, 40, 5, pauses.append) == 5
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert write_digits(tmp_path, 40, 8, pauses.append) == 3
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name in before} == before
    assert pauses == [1 / 40] * 8
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "digit-0-000.png"
    with Image.open(tmp_path / "digit-0-000.png") as image:
        assert image.size == (64, 64)
        assert np.asarray(image).max() > 200
