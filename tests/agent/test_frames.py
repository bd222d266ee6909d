"""Animations and files of several pages: the first frame, or each as a picture."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, TiffImagePlugin
from pillow_heif import register_heif_opener

from agent.config import DecodeConfig
from agent.decode import decode_frames, read_file
from agent.frame import Frame, Rejected

CONFIG = DecodeConfig()
COLOURS = ("red", "lime", "blue", "white")


@pytest.fixture(scope="module", autouse=True)
def heif() -> None:
    register_heif_opener()  # Pillow alone cannot write it


def film(name: str, colours: tuple[str, ...] = COLOURS, side: int = 80, **options: object) -> bytes:
    frames = [Image.new("RGB", (side, side), colour) for colour in colours]
    buffer = BytesIO()
    frames[0].save(buffer, name, save_all=True, append_images=frames[1:], **options)
    return buffer.getvalue()


def read(path: Path, data: bytes, most: int) -> list[Frame | Rejected]:
    path.write_bytes(data)
    return read_file(path, "here", most, config=CONFIG)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF", "MPO", "AVIF", "HEIF"])
@pytest.mark.parametrize("side", [80, 700])
def test_each_frame_is_a_picture(tmp_path: Path, name: str, side: int) -> None:
    path, count = tmp_path / "film", 2 if name == "MPO" else 4  # Pillow 13 writes wrong offsets for more
    frames = read(path, film(name, COLOURS[:count], side=side), 10)
    assert [frame.origin.uri for frame in frames] == [str(path), *(f"{path}#frame={n}" for n in range(1, count))]
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))[:count]
    for frame, colour in zip(frames, colours, strict=True):
        assert isinstance(frame, Frame)
        assert abs(frame.pixels_HWC[20, 20].astype(int) - colour).max() < 40, name
        assert (frame.width_px, frame.height_px) == (side, side)
    shas = [frame.sha256 for frame in frames]
    assert shas[0] == hashlib.sha256(path.read_bytes()).hexdigest(), "the first one is the file's own"
    assert len(set(shas)) == count
    assert {frame.origin.stat for frame in frames} == {frames[0].origin.stat}


def test_the_first_frame_alone_is_what_a_file_is_by_default(tmp_path: Path) -> None:
    (alone,) = read(tmp_path / "a.gif", film("GIF"), 1)
    first, *_ = read(tmp_path / "a.gif", film("GIF"), 2)
    assert isinstance(alone, Frame)
    assert alone.sha256 == first.sha256
    (still,) = read(tmp_path / "still.jpg", film("PNG", COLOURS[:1]), 10)
    assert isinstance(still, Frame)


def test_copies_have_the_same_frames(tmp_path: Path) -> None:
    one, other = read(tmp_path / "a.gif", film("GIF"), 9), read(tmp_path / "b.gif", film("GIF"), 9)
    assert [frame.sha256 for frame in one] == [frame.sha256 for frame in other]


def test_frames_beyond_the_limit_are_left_out_and_told(tmp_path: Path) -> None:
    *frames, rest = read(tmp_path / "a.gif", film("GIF"), 3)
    assert len(frames) == 3
    assert isinstance(rest, Rejected)
    assert rest.origin.uri.endswith("a.gif#frame=3")
    assert "folder.frames_most is 3" in rest.reason


def test_a_frame_that_is_broken_is_told_and_those_before_it_are_kept(tmp_path: Path) -> None:
    pages = film("TIFF", compression="tiff_lzw", side=400)
    broken = bytearray(pages)
    start = Image.open(BytesIO(pages))
    start.seek(2)
    assert isinstance(start, TiffImagePlugin.TiffImageFile)
    at = start.tag_v2[TiffImagePlugin.STRIPOFFSETS][0]
    broken[at : at + 40] = b"\xff" * 40
    *frames, lost = read(tmp_path / "a.tiff", bytes(broken), 9)
    assert len(frames) == 2
    assert all(isinstance(frame, Frame) for frame in frames)
    assert isinstance(lost, Rejected)
    assert lost.origin.uri.endswith("a.tiff#frame=2")


def test_smaller_copies_of_a_page_and_layers_are_no_frames(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (side, side), "red") for side in (64, 32, 16)]
    for page in pages[1:]:
        page.encoderinfo = {"tiffinfo": {254: 1}}  # type: ignore[attr-defined]
    buffer = BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    assert len(read(tmp_path / "pyramid.tiff", buffer.getvalue(), 9)) == 1


def test_one_frame_is_in_memory_at_a_time() -> None:
    frames = decode_frames(film("GIF"), CONFIG, most=10)
    assert next(frames)[0] == 0
    frames.close()
