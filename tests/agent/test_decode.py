from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from agent.config import DecodeConfig
from agent.decode import DecodePool, Reader, Undecodable, decode_image, read_file
from agent.frame import FileStat, Frame, Rejected
from agent.thumbnail import pixels_of

CONFIG = DecodeConfig()
DATASETS = Path(os.environ.get("TAXON_DATASETS", Path(__file__).parents[2] / "../shared/data"))


def encoded(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def photograph(width: int = 640, height: int = 480, **options: object) -> bytes:
    """Red above, blue below, and a white corner at the upper left."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width, height // 2))
    image.paste("white", (0, 0, width // 4, height // 4))
    return encoded(image, "JPEG", quality=95, **options)


# -------------------------------------------------------------------- what a picture becomes


def test_a_photograph_becomes_its_thumbnail_and_keeps_its_size() -> None:
    decoded = decode_image(photograph(), CONFIG)
    assert (decoded.width_px, decoded.height_px) == (640, 480)
    assert decoded.pixels_HWC.shape == (192, 256, 3)
    np.testing.assert_array_equal(decoded.pixels_HWC, pixels_of(decoded.thumbnail))


def test_a_reduced_decode_looks_like_a_full_one() -> None:
    y, x = np.mgrid[0:1200, 0:1600]
    picture = np.stack([x * 255 // 1599, y * 255 // 1199, (x + y) % 256], axis=-1).astype(np.uint8)
    image = Image.fromarray(picture)
    drafted = decode_image(encoded(image, "JPEG", quality=95), CONFIG).pixels_HWC
    whole = decode_image(encoded(image, "PNG", compress_level=1), CONFIG).pixels_HWC
    assert drafted.shape == whole.shape
    assert np.abs(drafted[..., :2].astype(int) - whole[..., :2]).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright = Image.open(BytesIO(photograph(600, 400)))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Image.Transpose that turns upright into what is stored
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    decoded = decode_image(encoded(stored, "JPEG", quality=95, exif=exif), CONFIG)
    assert (decoded.width_px, decoded.height_px) == (600, 400)
    height, width, _ = decoded.pixels_HWC.shape
    assert (width, height) == (256, 171)
    assert decoded.pixels_HWC[10, 10].min() > 200, "white corner"
    assert decoded.pixels_HWC[10, -10, 0] > 200, "red above"
    assert decoded.pixels_HWC[-10, -10, 2] > 200, "blue below"


@pytest.mark.parametrize(
    "name", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "HEIF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO"]
)
def test_formats(name: str) -> None:
    with pytest.raises(Undecodable):
        decode_image(b"x", CONFIG)  # registers what Pillow alone does not know, so that it can be written here
    decoded = decode_image(encoded(Image.new("RGB", (120, 80), (200, 30, 40)), name), CONFIG)
    assert np.abs(decoded.pixels_HWC.astype(int) - (200, 30, 40)).max() < 12
    assert decoded.width_px in (120, 64)  # icons come in sizes of their own


WITHOUT_HEIF = """
import sys
sys.modules["pillow_heif"] = None  # as where its library is missing: importing it raises
from agent.config import DecodeConfig
from agent.decode import Undecodable, decode_image
print(decode_image(open(sys.argv[1], "rb").read(), DecodeConfig()).width_px)
try:
    decode_image(open(sys.argv[2], "rb").read(), DecodeConfig())
except Undecodable as error:
    print(error)
"""


def test_without_pillow_heif_only_heif_suffers(tmp_path: Path) -> None:
    photo, heif = tmp_path / "a.jpg", tmp_path / "b.heic"
    photo.write_bytes(photograph())
    heif.write_bytes(bytes(4) + b"ftypheic" + bytes(64))
    called = [sys.executable, "-c", WITHOUT_HEIF, str(photo), str(heif)]
    done = subprocess.run(called, capture_output=True, text=True, check=True)
    width, why = done.stdout.splitlines()
    assert width == "640"
    assert why.startswith("HEIF is not decoded here: pillow-heif cannot be loaded")
    assert why.endswith("install it anew and touch the file")


def test_of_animations_and_pages_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (90, 90), colour) for colour in ("red", "blue", "green")]
    for name in ("GIF", "WEBP", "PNG", "TIFF"):
        decoded = decode_image(encoded(frames[0], name, save_all=True, append_images=frames[1:]), CONFIG)
        assert decoded.pixels_HWC[45, 45, 0] > 240, name


def test_small_pictures_are_lossless_and_never_enlarged() -> None:
    digits = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    decoded = decode_image(encoded(Image.fromarray(digits)), CONFIG)
    np.testing.assert_array_equal(decoded.pixels_HWC[..., 1], digits)


def test_the_time_of_taking_is_read() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2023:07:14 08:30:00", ExifTags.Base.OffsetTimeOriginal: "+02:00"}
    )
    assert decode_image(photograph(exif=exif), CONFIG).captured_at == datetime(2023, 7, 14, 6, 30, tzinfo=UTC)
    assert decode_image(photograph(), CONFIG).captured_at is None


# -------------------------------------------------------------------- what is no picture


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "zero bytes"),
        (b"just some text", "not an image"),
        (photograph()[:5000], "truncated JPEG: image file is truncated"),
        (photograph()[:20], "broken JPEG|truncated JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n", "PostScript"),
    ],
)  # fmt: skip
def test_the_reason_is_one_line_for_people(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason) as caught:
        decode_image(data, CONFIG)
    text = str(caught.value)
    assert "\n" not in text
    assert "0x" not in text
    assert len(text) < 260


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize("limit", [9_999, 6_000, 4_000])  # Pillow warns up to twice its limit, and raises above
def test_too_many_pixels_are_refused_before_they_are_decoded(name: str, limit: int) -> None:
    bomb = encoded(Image.new("L", (100, 100)), name)
    with pytest.raises(Undecodable, match=r"too (large|many)"):
        decode_image(bomb, DecodeConfig(max_pixels=limit))
    assert decode_image(bomb, DecodeConfig(max_pixels=10_000)).width_px == 100


def odd_images() -> list[tuple[str, bytes, str]]:
    with (
        (DATASETS / "odd-images.csv").open(newline="") as table,
        zipfile.ZipFile(DATASETS / "odd-images.zip") as archive,
    ):
        return [(row["file"], archive.read(row["file"]), row["pillow_13_outcome"]) for row in csv.DictReader(table)]


@pytest.mark.skipif(not (DATASETS / "odd-images.zip").exists(), reason="odd-images.zip is not there (TAXON_DATASETS)")
def test_odd_and_hostile_files_decode_or_say_why(capfd: pytest.CaptureFixture[str]) -> None:
    lost = []
    for name, data, outcome in odd_images():
        try:
            decoded = decode_image(data, CONFIG)
        except Undecodable as error:
            reason = str(error)
            if not reason or "\n" in reason or "0x" in reason or outcome == "ok":
                lost.append((name, reason))
        else:
            np.testing.assert_array_equal(decoded.pixels_HWC, pixels_of(decoded.thumbnail))
            assert max(decoded.pixels_HWC.shape) <= CONFIG.thumbnail_px
    capfd.readouterr()  # libtiff talks
    assert lost == []


# -------------------------------------------------------------------- files


def test_a_file_becomes_a_frame_with_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(photograph())
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (frame,) = read_file(path, "here", 1, config=CONFIG)
    assert isinstance(frame, Frame)
    assert frame.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert frame.origin.uri == str(path)
    assert frame.origin.source == "here"
    assert frame.origin.stat == FileStat(path.stat().st_size, 1_700_000_000_123_456_789)
    assert frame.origin.captured_at == datetime.fromtimestamp(1_700_000_000.123456789, UTC)


def test_files_that_cannot_be_read_say_so_and_are_tried_again(tmp_path: Path) -> None:
    (gone,) = read_file(tmp_path / "gone.jpg", "here", 1, config=CONFIG)
    assert isinstance(gone, Rejected)
    assert gone.reason == "cannot be read: No such file or directory"
    assert gone.origin.stat is None, "no stat matches it, so the next scan tries again"
    (tmp_path / "folder.jpg").mkdir()
    assert isinstance(read_file(tmp_path / "folder.jpg", "here", 1, config=CONFIG)[0], Rejected)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(2 << 20)
    (result,) = read_file(path, "here", 1, config=DecodeConfig(max_file_mb=1))
    assert isinstance(result, Rejected)
    assert result.sha256 == ""
    assert "max_file_mb" in result.reason


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path.write_bytes(photograph())
    (frame,) = read_file(path, "here", 1, config=CONFIG)
    assert isinstance(frame, Frame)
    assert frame.origin.uri == str(tmp_path) + r"/caf\xe9.jpg"


def test_a_file_that_has_become_a_pipe_costs_no_worker(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (result,) = read_file(tmp_path / "a.jpg", "here", 1, config=CONFIG)
    assert isinstance(result, Rejected)
    assert (result.reason, result.fatal) == ("not a regular file", False)


# -------------------------------------------------------------------- the pool


@pytest.fixture
def faulty_pool(faulty: Callable[[str], Reader]) -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=1.5, memory_mb=512), faulty("read"))
    yield pool
    pool.close()


def test_faults_cost_only_their_own_files(tmp_path: Path, faulty_pool: DecodePool) -> None:
    names = ["a.jpg", "hang.jpg", "crash.jpg", "b.jpg", "exit.jpg", "greedy.jpg", "killed.jpg", "raise.jpg", "c.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(photograph(40, 30) + name.encode())
    futures = {name: faulty_pool.submit(tmp_path / name, "here") for name in names}
    results = {name: future.result(30)[0] for name, future in futures.items()}
    assert all(isinstance(results[name], Frame) for name in ("a.jpg", "b.jpg", "c.jpg"))
    reasons = {name: result.reason for name, result in results.items() if isinstance(result, Rejected)}
    assert reasons == {
        "hang.jpg": "took longer than 1.5 s",
        "crash.jpg": "the decoder crashed (SIGSEGV)",
        "exit.jpg": "the decoder exited (3)",
        "greedy.jpg": "needs more memory than is allowed",
        "killed.jpg": "the decoder was killed (SIGKILL), probably for want of memory",
        "raise.jpg": "RuntimeError: two lines",
    }
    crashed = results["crash.jpg"]
    assert crashed.sha256 == hashlib.sha256((tmp_path / "crash.jpg").read_bytes()).hexdigest()
    assert crashed.origin.stat is not None
    assert all(result.fatal for result in results.values() if isinstance(result, Rejected))


def test_a_disk_that_hangs_holds_up_no_other_file(
    tmp_path: Path, faulty: Callable[[str], Reader], monkeypatch: pytest.MonkeyPatch
) -> None:
    returns = threading.Event()
    monkeypatch.setattr("agent.decode.LOOK_S", 0.2)
    monkeypatch.setattr("agent.decode.hashlib.file_digest", lambda *_: returns.wait(60) and hashlib.sha256())
    pool = DecodePool(DecodeConfig(workers=1), faulty("read"))
    try:
        for name in ("crash.jpg", "a.jpg"):
            (tmp_path / name).write_bytes(photograph(40, 30))
        crashed, fine = (pool.submit(tmp_path / name, "here") for name in ("crash.jpg", "a.jpg"))
        assert isinstance(fine.result(30)[0], Frame)
        (result,) = crashed.result(30)
    finally:
        returns.set()
        pool.close()
    assert isinstance(result, Rejected)
    assert (result.sha256, result.reason) == ("", "the decoder crashed (SIGSEGV)")
    assert result.origin.stat is None, "it is tried again"


def test_a_linked_file_that_costs_its_worker_is_hashed_too(tmp_path: Path, faulty_pool: DecodePool) -> None:
    (tmp_path / "there").write_bytes(photograph(40, 30))
    (tmp_path / "crash.jpg").symlink_to(tmp_path / "there")
    (result,) = faulty_pool.submit(tmp_path / "crash.jpg", "here").result(30)
    assert result.sha256 == hashlib.sha256((tmp_path / "there").read_bytes()).hexdigest()


def test_a_picture_that_needs_too_much_memory_is_rejected_and_its_worker_begins_anew(tmp_path: Path) -> None:
    wide, small = tmp_path / "wide.png", tmp_path / "small.png"
    Image.new("L", (9_900, 9_900)).save(wide, compress_level=1)
    Image.new("L", (99, 99)).save(small)
    pool = DecodePool(DecodeConfig(workers=1, memory_mb=256))
    try:
        assert isinstance(pool.submit(small, "here").result(30)[0], Frame)
        before = pool._processes.pids()
        (result,) = pool.submit(wide, "here").result(30)
        assert isinstance(pool.submit(small, "here").result(30)[0], Frame)
        assert pool._processes.pids() != before, "what it had left may have been too little for the next one, too"
    finally:
        pool.close()
    assert isinstance(result, Rejected)
    assert result.fatal
    assert result.reason == "needs more memory than decode.memory_mb allows (256 MB)"


def test_workers_do_not_load_torch() -> None:
    code = "import sys, agent.decode; print(*{m.split('.')[0] for m in sys.modules} & {'torch', 'sqlalchemy', 'scipy'})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == ""
