"""Which picture a person means: by content hash, by its file, or by a file that is not stored yet."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.commands.newcomers import located
from storage.errors import NotFound, Refused

if TYPE_CHECKING:
    from storage.queries import Queries


def meant(queries: Queries, images: Sequence[str]) -> list[int | Path]:
    """For each the id of the stored picture, or the file that is none yet.

    A file is known by its content, wherever it lies; one that has gone, by the place where it lay.

    Raises:
        NotFound: there is neither such a picture nor such a file.
        Refused: a hash means several pictures, or the path is no file.
    """
    return [_meant(queries, image) for image in images]


def _meant(queries: Queries, image: str) -> int | Path:
    path = Path(image)
    if os.path.isfile(path):  # False, too, for a name that is too long
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return queries.existing([sha256]).get(sha256, path)
    if os.path.exists(path):
        raise Refused(f"{image} is not a file; give a picture")
    by_place = queries.id_at(_uri(path))
    if by_place is not None:
        return by_place
    if set(image.strip().lower()) - set("0123456789abcdef"):
        raise NotFound(f"there is neither a file {image} nor a picture of that hash; `pictures` lists those stored")
    return queries.id_of(image)


def _uri(path: Path) -> str:
    from agent.uri import file_uri

    return file_uri(located(path))
