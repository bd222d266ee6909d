from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from agent.magic import HEAD_BYTES, sniff


@pytest.mark.parametrize(
    ("pillow_name", "name"),
    [
        ("JPEG", "JPEG"), ("PNG", "PNG"), ("GIF", "GIF"), ("WEBP", "WEBP"), ("TIFF", "TIFF"), ("AVIF", "AVIF"),
        ("BMP", "BMP"), ("PPM", "PPM"), ("JPEG2000", "JPEG2000"), ("QOI", "QOI"), ("DDS", "DDS"),
    ],
)  # fmt: skip
def test_what_pillow_writes_is_recognised(pillow_name: str, name: str) -> None:
    buffer = BytesIO()
    Image.new("RGB", (20, 10), "red").save(buffer, pillow_name)
    assert sniff(buffer.getvalue()[:HEAD_BYTES]) == name


@pytest.mark.parametrize(
    "head",
    [b"", b"BM", b"BMW drivers of the world, unite and take over", b"P6 is a postcode", b"II", b"%PDF-1.7", b"\0" * 32],
)
def test_other_files_are_not(head: bytes) -> None:
    assert sniff(head[:HEAD_BYTES]) is None
