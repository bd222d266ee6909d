"""Valid pictures of many formats, damaged at random: each decodes or says why, in time, and leaves no memory behind."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from agent.config import DecodeConfig
from agent.decode import DecodePool
from agent.frame import Frame, Rejected
from tests.cameras import DATASETS
from tests.pictures import FAMILIES, draw

LIMIT_S = 20.0
ODD = DATASETS / "odd-images.zip"
GROWTH_BYTES = 64 << 20
STILL = (
    "JPEG",
    "PNG",
    "WEBP",
    "TIFF",
    "BMP",
    "GIF",
    "HEIF",
    "AVIF",
    "JPEG2000",
    "ICO",
    "TGA",
    "PPM",
    "PCX",
    "SGI",
    "DDS",
)
MOVING = ("GIF", "WEBP", "PNG", "TIFF", "AVIF")


def originals() -> list[bytes]:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    made = []
    for number, name in enumerate(STILL):
        made.append(encoded(draw(FAMILIES[number % 4], number), name))
    made.append(encoded(draw("disc", 90), "JPEG", progressive=True))
    made.append(encoded(draw("disc", 91).convert("CMYK"), "JPEG"))
    made.append(encoded(draw("bars", 92).convert("P"), "PNG"))
    wide = np.random.default_rng(0).integers(0, 65_536, (60, 60), dtype=np.uint16)
    made += [encoded(Image.fromarray(wide), name) for name in ("PNG", "TIFF")]
    made += [encoded(draw("cross", 93), "TIFF", compression=how) for how in ("tiff_lzw", "jpeg", "tiff_deflate")]
    frames = [draw(family, 94) for family in FAMILIES]
    return [*made, *(encoded(frames[0], name, save_all=True, append_images=frames[1:]) for name in MOVING)]


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def damaged(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four accidents: bytes that flip, are lost, come twice, are zero, or come from another file."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        # headers are where decoders are told how much memory to take, so every second accident is in one
        at = rng.randrange(min(len(found), 200) if rng.random() < 0.5 else len(found))
        size = rng.randint(1, 40)
        kind = rng.randrange(6)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            found[at : at + size] = rng.randbytes(size)
        elif kind == 2:
            found[at : at + size] = bytes(size) if rng.random() < 0.5 else b"\xff" * size
        elif kind == 3:
            found[at:at] = found[at : at + size]
        elif kind == 4:
            found[at:] = other[at:]
        else:
            del found[max(at, 4) :]
    return bytes(found) or b"\0"


@pytest.fixture
def pool() -> Iterator[DecodePool]:
    pool = DecodePool(DecodeConfig(workers=2, timeout_s=LIMIT_S))
    yield pool
    pool.close()


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])])
def test_what_is_damaged_decodes_or_says_why(tmp_path: Path, pool: DecodePool, count: int) -> None:
    whole, rng, us = originals(), random.Random(count), psutil.Process()
    warm = [tmp_path / f"warm {number}" for number in range(len(whole))]
    for path, data in zip(warm, whole, strict=True):
        path.write_bytes(data)
    while len(pool._processes.pids()) < 2:  # a worker begins when others are busy
        for future in [pool.submit(path, "here", 4) for path in warm]:
            assert isinstance(future.result()[0], Frame)
    before, pids = us.memory_info().rss, set(pool._processes.pids())
    workers_before = resident(pool)
    outcomes = {"decoded": 0, "rejected": 0, "given up": 0}
    for start in range(0, count, 100):
        paths = [tmp_path / f"{number}" for number in range(min(100, count - start))]
        for path in paths:
            path.write_bytes(damaged(rng.choice(whole), rng.choice(whole), rng))
        for future in [pool.submit(path, "here", 4) for path in paths]:
            outcomes[outcome(future.result(4 * LIMIT_S))] += 1
    print(outcomes)
    assert sum(outcomes.values()) == count
    assert min(outcomes["decoded"], outcomes["rejected"]) > count // 10, "the damage is neither too small nor too great"
    assert us.memory_info().rss - before < GROWTH_BYTES
    assert outcomes["given up"] or set(pool._processes.pids()) == pids, "no worker was replaced"
    print(f"MB of the workers before and after: {[size >> 20 for size in (*workers_before, *resident(pool))]}")
    assert max(resident(pool)) - min(workers_before) < GROWTH_BYTES


@pytest.mark.slow
@pytest.mark.skipif(not ODD.is_file(), reason=f"{ODD} is absent; set TAXON_DATASETS to the folder that holds it")
def test_odd_images_leave_no_memory_behind(tmp_path: Path, pool: DecodePool) -> None:
    with zipfile.ZipFile(ODD) as archive:
        paths = [Path(archive.extract(member, tmp_path)) for member in archive.infolist() if not member.is_dir()]

    def decode_all() -> int:
        for future in [pool.submit(path, "here", 4) for path in paths]:
            outcome(future.result(4 * LIMIT_S))
        return max(resident(pool))

    first = decode_all()  # codecs are loaded, and arenas have grown
    assert decode_all() - first < GROWTH_BYTES // 2


def resident(pool: DecodePool) -> list[int]:
    """Bytes of each worker."""
    return [psutil.Process(pid).memory_info().rss for pid in pool._processes.pids()]


def outcome(items: list[Frame | Rejected]) -> str:
    for item in items:
        if isinstance(item, Rejected):
            assert not item.fatal or "memory" in item.reason, "a decoder hung or died of it"
            assert item.reason
            assert "\n" not in item.reason
            assert len(item.reason) < 260
    first = items[0]
    return "decoded" if isinstance(first, Frame) else "given up" if first.fatal else "rejected"
