"""Which pictures people mean by content hashes that they may have cut off."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from storage.errors import NotFound, Refused
from storage.schema import pictures

FEWEST_DIGITS = 6


def picture_ids(connection: Connection, shas: Sequence[str]) -> list[int]:
    """Ids of pictures by content hash, each once; a hash may be cut off after six digits where it stays clear.

    Raises:
        NotFound: there is no such picture.
        Refused: it means several, or is no hash.
    """
    found: list[int] = []
    for sha in dict.fromkeys(one.strip().lower() for one in shas):
        if len(sha) < FEWEST_DIGITS or set(sha) - set("0123456789abcdef"):
            raise Refused(
                f"{sha!r} is no sha256; give its first {FEWEST_DIGITS} digits or more, as `pictures` shows it"
            )
        alike = select(pictures.c.id).where(pictures.c.sha256 >= sha, pictures.c.sha256 < sha + "g").limit(2)
        matches = list(connection.execute(alike).scalars())
        if not matches:
            raise NotFound(f"there is no picture {sha[:12]}; `pictures` lists them")
        if len(matches) > 1:
            raise Refused(f"{sha} means more than one picture; give more of its digits")
        found += matches
    if not found:
        raise Refused("no picture was named; give the sha256 of one or more")
    return list(dict.fromkeys(found))
