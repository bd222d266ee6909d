"""Bytes to a decoded picture and its thumbnail, or the reason why not; and the pool that does so in other processes.

It knows nothing about folders, cameras, storage or learning, and imports no torch: workers must start fast.
Decoders are fed by strangers, so each file is decoded in a process that can be killed (`agent.killable`).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from agent.config import DecodeConfig
from agent.exif import read_exif
from agent.frame import FileStat, Frame, Origin, Rejected
from agent.killable import KillableWorkers, Task
from agent.magic import HEAD_BYTES, sniff
from agent.regular import open_regular
from agent.rgb import to_rgb
from agent.thumbnail import encode_thumbnail, pixels_of, shrink, thumbnail_size
from agent.uri import file_uri, frame_uri
from storage.records import FRAME_MARK

_WITH_FRAMES = frozenset({"GIF", "WEBP", "PNG", "TIFF", "MPO", "HEIF", "AVIF", "FLI", "DCX"})
"""Formats whose frames are pictures; those of others are layers."""

_NEW_SUBFILE_TYPE, _REDUCED, _MASK = 254, 1, 4
"""Tag of TIFF, and its bits for pages that are made from another one."""

_REFUSED = {"EPS": "would run a PostScript interpreter"}
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")
_REASON_CHARS = 200

LOOK_S = 10.0
"""A file that cost its worker is hashed within this time, or not at all."""


class Undecodable(Exception):
    """The bytes are no picture that we can or want to decode; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture: thumbnail, its pixels (uint8 RGB), and the upright original's size; `captured_at` from EXIF, UTC."""

    pixels_HWC: NDArray[np.uint8]
    thumbnail: bytes
    width_px: int
    height_px: int
    captured_at: datetime | None


def decode_image(data: bytes, config: DecodeConfig, least_px: int | None = None) -> Decoded:
    """Decode the first frame of a picture of any format, upright, to RGB.

    Not for several threads at once: Pillow keeps its pixel limit, and Python its warning filters, for the process.

    Raises:
        Undecodable: for any reason whatever; nothing else is raised.
    """
    with closing(decode_frames(data, config, least_px, most=1)) as frames:
        return next(frames)[1]


def decode_frames(
    data: bytes, config: DecodeConfig, least_px: int | None = None, *, most: int
) -> Generator[tuple[int, Decoded], None, None]:
    """Decode up to `most` frames or pages of a picture, one at a time, each with its number; the first one is 0.

    Pages of a TIFF that only repeat another one smaller, or mask it, are left out. To be closed before anything else is
    decoded, as for `decode_image`.

    Raises:
        Undecodable: as `decode_image`; of the frame after the last one that was given.
    """
    try:
        with _opened(data, config) as image:
            yield 0, _decode_open(image, config, least_px, alone=most == 1)
            for number in range(1, most if image.format in _WITH_FRAMES else 1):
                if not _turn_to(image, number):
                    return
                if not _is_derived(image):
                    yield number, _decode_open(image, config, least_px, alone=False)
    except Undecodable:
        raise
    except Exception as error:  # decoders raise anything: OSError, ValueError, IndexError, SyntaxError, ...
        raise Undecodable(_reason(error, data, config)) from error


def decode_whole(data: bytes, config: DecodeConfig) -> Image.Image:
    """The first frame of a picture of any format in its full size, upright, RGB; otherwise as `decode_image`.

    Raises:
        Undecodable: for any reason whatever; nothing else is raised.
    """
    try:
        with _opened(data, config) as image:
            _load(image, config)
            exif, rgb = read_exif(image), to_rgb(image)
            return rgb if exif.turn is None else rgb.transpose(exif.turn)
    except Undecodable:
        raise
    except Exception as error:  # as in `decode_frames`
        raise Undecodable(_reason(error, data, config)) from error


@contextmanager
def _opened(data: bytes, config: DecodeConfig) -> Iterator[Image.Image]:
    if not data:
        raise Undecodable("zero bytes")
    _without_heif()
    Image.MAX_IMAGE_PIXELS = config.max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(BytesIO(data)) as image:
            yield image


def _turn_to(image: Image.Image, number: int) -> bool:
    try:
        image.seek(number)
    except EOFError:
        return False
    return True


def _is_derived(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return bool(int(tags.get(_NEW_SUBFILE_TYPE, 0)) & (_REDUCED | _MASK))


def _decode_open(image: Image.Image, config: DecodeConfig, least_px: int | None, *, alone: bool) -> Decoded:
    size = _load(image, config, draft_px=config.thumbnail_px if alone else None)
    exif = read_exif(image)
    small = shrink(to_rgb(image), config.thumbnail_px)
    if exif.turn is not None:
        small = small.transpose(exif.turn)
    thumbnail = encode_thumbnail(small)
    width_px, height_px = reversed(size) if exif.swaps_sides else size
    return Decoded(pixels_of(thumbnail, least_px), thumbnail, width_px, height_px, exif.captured_at)


def _load(image: Image.Image, config: DecodeConfig, draft_px: int | None = None) -> tuple[int, int]:
    """Decode what was opened, if it is of a kind and size that we take; its size.

    Args:
        draft_px: so much of the long side is enough. Only JPEG has drafts: fewer DCT coefficients are decoded. The size
            of the next frame of an MPO would be wrong after one.
    """
    if image.format in _REFUSED:
        raise Undecodable(f"{image.format} is not decoded: it {_REFUSED[image.format]}")
    size = image.size
    _check_pixels(size, config)
    drafted = draft_px is not None and image.draft(None, thumbnail_size(size, draft_px)) is not None
    image.load()
    if not drafted:
        size = image.size  # icons and turned TIFFs know theirs only now
        _check_pixels(size, config)
    return size


def _check_pixels(size: tuple[int, int], config: DecodeConfig) -> None:
    if size[0] * size[1] > config.max_pixels:
        raise Undecodable(f"too large: {size[0]} x {size[1]} pixels, and decode.max_pixels is {config.max_pixels}")


@cache
def _without_heif() -> str:
    """Why HEIF cannot be decoded here; empty where it can. Other pictures must not suffer from that."""
    try:
        # Not at the top: importing this module must stay light for those who only decode what everybody has.
        from pillow_heif import register_heif_opener
    except ImportError as error:
        return f"pillow-heif cannot be loaded ({error}); install it anew and touch the file"
    register_heif_opener()
    return ""


def _reason(error: Exception, data: bytes, config: DecodeConfig) -> str:
    """One short line for people, with the exception's own words."""
    kind = sniff(data[:HEAD_BYTES])
    text = " ".join(_OBJECT.sub("the file", str(error)).split())[:_REASON_CHARS] or type(error).__name__
    if isinstance(error, MemoryError):
        return f"needs more memory than decode.memory_mb allows ({config.memory_mb} MB)"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"too large: {text}"
    if isinstance(error, UnidentifiedImageError):
        if kind == "TIFF":  # RAW files of most cameras are TIFFs, and nearly all of them begin with a preview
            return "broken TIFF, or a camera's RAW file without a preview: have it converted to JPEG (darktable, rawpy)"
        if kind == "HEIF" and _without_heif():
            return f"HEIF is not decoded here: {_without_heif()}"
        return f"broken {kind}: its header cannot be read" if kind else "not an image"
    name = kind or "image"
    return f"truncated {name}: {text}" if "truncated" in text.lower() else f"broken {name}: {text}"


def read_file(
    path: Path, source: str, most_frames: int, *, config: DecodeConfig, least_px: int | None = None
) -> list[Frame | Rejected]:
    """Read, hash and decode one file; the work of a pool's worker.

    Returns:
        The picture, or with `most_frames` above 1 each of its frames, the first one first; where the file has more than
        that, a rejection for the rest; where one is broken, a rejection in its place and none after it.

    Raises:
        MemoryError: it needs more than there is. Perhaps what was decoded before has left too little, so the worker is
            given up; nothing else is raised for bad files.
    """
    try:
        file = open_regular(path)
        if file is None:
            return [Rejected("", "not a regular file", _origin(path, source, os.stat(path)))]
        with file:
            facts = os.fstat(file.fileno())
            origin = _origin(path, source, facts)
            if facts.st_size > config.max_file_mb << 20:
                return [Rejected("", f"larger than decode.max_file_mb ({config.max_file_mb} MB)", origin)]
            data = file.read()
    except OSError as error:
        reason = f"cannot be read: {error.strerror or type(error).__name__}"
        return [Rejected("", reason, _origin(path, source, None))]
    except MemoryError as error:
        raise MemoryError(_reason(error, b"", config)) from error
    return _frames(data, origin, config, least_px, most_frames)


def _frames(
    data: bytes, origin: Origin, config: DecodeConfig, least_px: int | None, most: int
) -> list[Frame | Rejected]:
    sha256 = hashlib.sha256(data).hexdigest()
    found: list[Frame | Rejected] = []
    number = -1
    try:
        # one more than is wanted tells whether there is more
        with closing(decode_frames(data, config, least_px, most=most + 1 if most > 1 else 1)) as frames:
            for number, decoded in frames:
                place = replace(origin, uri=frame_uri(origin.uri, number))
                if len(found) == most:
                    reason = f"this frame and those after it are left out: folder.frames_most is {most}"
                    found.append(Rejected(_hash_of_frame(sha256, number), reason, place))
                else:
                    found.append(_frame(decoded, _hash_of_frame(sha256, number), place))
    except Undecodable as error:
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError(str(error)) from error
        place = replace(origin, uri=frame_uri(origin.uri, number + 1))
        found.append(Rejected(_hash_of_frame(sha256, number + 1), str(error), place))
    return found


def _frame(decoded: Decoded, sha256: str, origin: Origin) -> Frame:
    if decoded.captured_at is not None:
        origin = replace(origin, captured_at=decoded.captured_at)
    return Frame(sha256, decoded.pixels_HWC, decoded.thumbnail, decoded.width_px, decoded.height_px, origin)


def _hash_of_frame(sha256: str, number: int) -> str:
    """The identity of one frame: that of the file for the first one, and made of it and the number for the others."""
    return hashlib.sha256(f"{sha256}{FRAME_MARK}{number}".encode()).hexdigest() if number else sha256


def _origin(path: Path, source: str, facts: os.stat_result | None) -> Origin:
    """Where the file is and when it was last written; without facts no stat, so that it is tried again later."""
    if facts is None:
        return Origin(file_uri(path), source, datetime.now(UTC))
    stat = FileStat.of(facts)
    return Origin(file_uri(path), source, stat.written_at, stat)


Reader = Callable[[Path, str, int], list[Frame | Rejected]]


class DecodePool:
    """Decodes files in `config.workers` processes; a file that hangs or crashes its worker costs only itself.

    Args:
        read: what a worker does with a path, the source's name and the number of frames; importable by name in another
            process. Default: `read_file` with `config`.
        least_px: sides of `Frame.pixels_HWC` that suffice (`agent.thumbnail.pixels_of`).
    """

    def __init__(self, config: DecodeConfig, read: Reader | None = None, *, least_px: int | None = None) -> None:
        self.workers = config.workers
        self._processes: KillableWorkers[list[Frame | Rejected]] = KillableWorkers(
            read or partial(read_file, config=config, least_px=least_px),
            lost=_lost,
            workers=config.workers,
            timeout_s=config.timeout_s,
            memory_mb=config.memory_mb,
        )

    def submit(self, path: Path, origin_source: str, most_frames: int = 1) -> Task[list[Frame | Rejected]]:
        """Have a file decoded: one result, or with `most_frames` above 1 as many as `read_file` gives.

        Sources take turns: one with many files, or with files that hang, does not hold up the others. The future never
        raises for bad files.

        It is cancelled by `close`, and raises `agent.killable.WorkerStartError` if no worker process can be started.
        """
        return self._processes.submit(path, origin_source, most_frames, lane=origin_source)

    def close(self) -> None:
        """Kill the workers and cancel what was not decoded; may be called again."""
        self._processes.close()


def _lost(reason: str, path: Path, source: str, most_frames: int) -> list[Frame | Rejected]:
    """What becomes of a file whose worker was lost with it.

    Hashed here: hashing is safe, decoding was not. But its disk may hang, and with it whoever looks at it, who is left
    behind after `LOOK_S`. A file that could not be read at all says no stat, so that it is tried again later.
    """
    remains = _Remains(path)
    thread = threading.Thread(target=remains.look, name="hash a lost file", daemon=True)
    thread.start()
    thread.join(LOOK_S)
    facts = remains.facts
    if facts is not None and not stat.S_ISREG(facts.st_mode):
        return [Rejected("", "not a regular file", _origin(path, source, facts))]
    sha256 = remains.sha256
    return [Rejected(sha256, reason, _origin(path, source, facts if sha256 else None), fatal=True)]


class _Remains:
    """What can be found out of a file, as far as it has come; all of it is empty where the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.facts: os.stat_result | None = None
        self.sha256 = ""

    def look(self) -> None:
        with suppress(OSError):
            self.facts = os.stat(self._path)
            if stat.S_ISREG(self.facts.st_mode):  # opening a pipe would wait for ever
                with self._path.open("rb") as file:
                    self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
