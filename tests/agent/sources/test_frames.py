"""Files of several frames in a watched folder: each frame has a place of its own, and goes when its file does."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from agent.config import FolderConfig
from storage.queries import Queries
from tests.agent.sources.conftest import picture

Scan = Callable[..., None]
ALL = FolderConfig(settle_s=0.05, settle_paged_s=0.05, frames="all")


def film(*seeds: int) -> bytes:
    frames = [Image.open(BytesIO(picture(seed))) for seed in seeds]
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def places(queries: Queries) -> dict[str, str]:
    """Content hashes by name, of what is there."""
    return {Path(row.uri).name: row.sha256 for row in queries.export_rows()}


def names(stem: str, count: int) -> set[str]:
    return {stem, *(f"{stem}#frame={number}" for number in range(1, count))}


def test_the_first_frame_is_stored_by_default_and_the_others_by_setting(
    scan: Scan, folder: Path, queries: Queries
) -> None:
    (folder / "a.gif").write_bytes(film(1, 2, 3))
    scan()
    assert places(queries).keys() == {"a.gif"}
    os.utime(folder / "a.gif")
    scan(ALL)
    assert places(queries).keys() == names("a.gif", 3)
    assert queries.status().pictures == 3, "the first frame is the same picture as before"
    scan(ALL)
    assert queries.status().pictures == 3


def test_a_copy_has_the_same_pictures_and_a_film_that_goes_takes_all_its_places(
    scan: Scan, folder: Path, queries: Queries
) -> None:
    (folder / "a.gif").write_bytes(film(1, 2, 3))
    (folder / "b.gif").write_bytes(film(1, 2, 3))
    scan(ALL)
    assert places(queries).keys() == names("a.gif", 3) | names("b.gif", 3)
    assert queries.status().pictures == 3
    (folder / "b.gif").unlink()
    scan(ALL)
    assert places(queries).keys() == names("a.gif", 3)


@pytest.mark.parametrize("broken", [False, True])
def test_a_film_that_changes_loses_the_frames_that_it_had(
    scan: Scan, folder: Path, queries: Queries, broken: bool
) -> None:
    (folder / "a.gif").write_bytes(film(1, 2, 3, 4))
    scan(ALL)
    assert len(places(queries)) == 4
    (folder / "a.gif").write_bytes(b"no film" if broken else film(5, 6))
    scan(ALL)
    assert places(queries).keys() == ({"a.gif"} if broken else names("a.gif", 2))
    assert queries.status().pictures == (4 if broken else 6)


def test_what_is_beyond_the_limit_is_rejected_until_the_file_changes(
    scan: Scan, folder: Path, queries: Queries
) -> None:
    few = ALL.model_copy(update={"frames_most": 2})
    (folder / "a.gif").write_bytes(film(1, 2, 3, 4))
    scan(few)
    (rest,) = queries.pictures(status="rejected")
    assert rest.uri.endswith("a.gif#frame=2")
    (folder / "a.gif").write_bytes(film(1, 2))
    scan(few)
    assert queries.pictures(status="rejected") == []
    assert queries.status().rejected == 0


def test_a_film_is_known_only_when_all_its_frames_are_stored(
    scan: Scan, folder: Path, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.gif").write_bytes(film(1, 2, 3))
    scan(ALL)
    rows = sorted((row.ingested_at, row.uri) for row in queries.export_rows())
    stored = [Path(picture.uri).name for picture in sorted(queries.pictures(), key=lambda row: row.id or 0)]
    assert len(rows) == 3
    assert stored[-1] == "a.gif", "it comes last, and a kill before it would have all of them read again"
