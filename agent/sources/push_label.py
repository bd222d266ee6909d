"""What a request says of the picture that it brings. Text from strangers: each part is right to the letter, or refused.

It knows nothing about HTTP but the names of headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

SOURCE = "X-Taxon-Source"
CAPTURED_AT = "X-Taxon-Captured-At"
NAME = "X-Taxon-Name"
UNNAMED = "push"
YEARS = range(1800, 2200)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Label:
    """What the sender says of a picture.

    Attributes:
        source: where it comes from; `push` when nothing is said.
        name: fit to be a part of a file's name; empty when nothing is said.
        captured_at: UTC; None when nothing is said.
    """

    source: str
    name: str
    captured_at: datetime | None


def read_label(headers: Mapping[str, str]) -> Label:
    """Read the headers of a request.

    Raises:
        ValueError: one is wrong; the message names it and does not repeat what it said.
    """
    source, name = headers.get(SOURCE, UNNAMED), headers.get(NAME, "")
    if not _SOURCE.fullmatch(source):
        raise ValueError(f"{SOURCE} is up to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
    if name and not _NAME.fullmatch(name):
        raise ValueError(f"{NAME} is up to 100 of A-Z a-z 0-9 . _ - and begins with a letter or digit")
    said = headers.get(CAPTURED_AT)
    return Label(source, name, None if said is None else _moment(said))


def _moment(text: str) -> datetime:
    wrong = ValueError(f"{CAPTURED_AT} is a time with its zone, such as 2026-11-25T09:30:12Z")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or moment.year not in YEARS:
            raise wrong
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None
