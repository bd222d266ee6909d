"""RAW files are TIFFs that begin with a preview, which is what counts; and HEIC, whose decoder raises anything."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from agent.config import DecodeConfig
from agent.decode import Undecodable, decode_frames, decode_image

CONFIG = DecodeConfig()
RED = Image.new("RGB", (160, 120), (200, 30, 40))
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS = 273, 277, 278, 279
SUBFILE, DNG_VERSION = 254, 50706
PREVIEW = {
    SUBFILE: [1], WIDTH: [160], HEIGHT: [120], BITS: [8, 8, 8], COMPRESSION: [1], PHOTOMETRIC: [2], SAMPLES: [3],
    ROWS: [120], COUNTS: [160 * 120 * 3],
}  # fmt: skip
SENSOR = {
    SUBFILE: [0], WIDTH: [160], HEIGHT: [120], BITS: [16], COMPRESSION: [1], PHOTOMETRIC: [32_803], SAMPLES: [1],
    ROWS: [120], COUNTS: [160 * 120 * 2],
}  # fmt: skip


def tiff(tags: dict[int, list[int]], strip: bytes, mark: bytes = b"") -> bytes:
    """A little-endian TIFF of one strip; `mark` stands behind the header, as Canon's does."""
    tags = {**tags, OFFSETS: [0]}
    long = {tag: struct.pack(f"<{len(values)}H", *values) for tag, values in tags.items() if len(values) > 2}
    directory = 8 + len(mark)
    places, end = {}, directory + 2 + 12 * len(tags) + 4
    for tag, data in long.items():
        places[tag], end = end, end + len(data)
    tags[OFFSETS] = [end]
    entries = b"".join(
        struct.pack("<HHII", tag, 3, len(values), places[tag]) if tag in long
        else struct.pack("<HHII", tag, 4, 1, values[0])
        for tag, values in sorted(tags.items())
    )  # fmt: skip
    head = b"II*\0" + struct.pack("<I", directory) + mark
    return head + struct.pack("<H", len(tags)) + entries + bytes(4) + b"".join(long.values()) + strip


def jpeg() -> bytes:
    buffer = BytesIO()
    RED.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


CANON = {WIDTH: [160], HEIGHT: [120], BITS: [8, 8, 8], COMPRESSION: [6], COUNTS: [len(jpeg())]}


@pytest.mark.parametrize(
    "data",
    [
        tiff(PREVIEW, RED.tobytes()),
        tiff({**PREVIEW, DNG_VERSION: [0x0401]}, RED.tobytes()),
        tiff(CANON, jpeg(), b"CR\x02\0" + bytes(4)),
    ],
    ids=["NEF", "DNG", "CR2"],
)
def test_of_a_raw_file_the_preview_is_the_picture(data: bytes) -> None:
    decoded = decode_image(data, CONFIG)
    assert (decoded.width_px, decoded.height_px) == (160, 120)
    assert np.abs(decoded.pixels_HWC.astype(int) - (200, 30, 40)).max() < 8


@pytest.mark.parametrize("compression", [1, 7, 34_713], ids=["none", "lossless JPEG", "Nikon's"])
def test_one_without_a_preview_says_what_to_do(compression: int) -> None:
    with pytest.raises(Undecodable, match="RAW file without a preview: .*rawpy"):
        decode_image(tiff({**SENSOR, COMPRESSION: [compression]}, bytes(160 * 120 * 2)), CONFIG)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), RuntimeError("Invalid input"), EOFError(), SyntaxError("x"), struct.error("x"), KeyError(1)],
)
def test_whatever_a_decoder_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(Undecodable, match="broken HEIF: ."):
        decode_image(bytes(4) + b"ftypheic" + bytes(40), CONFIG)


def test_a_damaged_heic_decodes_or_says_why() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    buffer = BytesIO()
    RED.save(buffer, "HEIF", save_all=True, append_images=[RED.rotate(90)])
    whole, rejected = buffer.getvalue(), 0
    for at in range(0, len(whole), 7):
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        try:
            for _, decoded in decode_frames(damaged, CONFIG, most=3):
                assert decoded.thumbnail
        except Undecodable:
            rejected += 1
    assert rejected > 10
