"""What becomes of pictures in the real store when only their files change: names, times, places."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from agent.catalogue import StoreCatalogue
from agent.config import FolderConfig
from agent.decode import DecodePool
from agent.embed_worker import EmbedWorker
from agent.inbox import Inbox
from agent.sources.folder import FolderSource
from storage.queries import Queries
from storage.store import Store
from tests.agent.sources.conftest import Blank, picture

Scan = Callable[..., None]


def touch(path: Path, ns: int) -> None:
    """As a NAS or a virus scanner does: new times, the same bytes."""
    os.utime(path, ns=(ns, ns))


def test_a_touched_file_is_the_same_picture_and_is_not_learned_again(
    scan: Scan, folder: Path, store: Store, queries: Queries
) -> None:
    path = folder / "a.jpg"
    path.write_bytes(picture(0))
    scan()
    (before,), last = queries.export_rows(), queries.last_picture_id()
    ns = 1_700_000_000_000_000_000
    touch(path, ns)
    scan()
    assert list(queries.export_rows()) == [before]
    assert queries.last_picture_id() == last, "training goes through ids, so there is nothing new to learn from"
    assert StoreCatalogue(store, queries).known([str(path)])[str(path)] == (path.stat().st_size, ns), "and read once"


def test_a_touch_while_a_picture_waits_to_be_stored_stores_it_once(
    folder: Path, store: Store, queries: Queries, pool: DecodePool, until: Callable[..., bool]
) -> None:
    path, inbox, stop = folder / "a.jpg", Inbox(16), threading.Event()
    path.write_bytes(picture(0))
    catalogue = StoreCatalogue(store, queries)
    config = FolderConfig(settle_s=0.05, rescan_s=0.2, observer="polling", poll_s=0.1)
    source = FolderSource(folder, "here", config, catalogue, pool, inbox)
    watching = threading.Thread(target=source.run, args=(stop,))
    watching.start()
    try:
        assert until(lambda: inbox.depth == 1)
        for second in range(1, 6):  # nobody stores it yet
            touch(path, (1_700_000_000 + second) * 10**9)
            assert not until(lambda: inbox.depth > 1, 0.2)
        worker = EmbedWorker(inbox, Blank(), store, queries, batch=8)  # type: ignore[arg-type]
        seeing = threading.Thread(target=worker.run, args=(stop,))
        seeing.start()
        last = (path.stat().st_size, 1_700_000_005 * 10**9)
        assert until(lambda: catalogue.known([str(path)]).get(str(path)) == last)
    finally:
        stop.set()
        watching.join(5)
    seeing.join(5)
    assert queries.status().pictures == 1
    assert queries.last_picture_id() == 1
    assert len(list(queries.present_uris("here"))) == 1


def test_the_longest_names_and_names_that_are_not_utf_8_are_stored(scan: Scan, folder: Path, queries: Queries) -> None:
    names = [
        "n" * 251 + ".jpg",
        "雪" * 83 + ".png",
        os.fsdecode(b"caf\xe9" * 60 + b"\xff.jpg"),
        "a\nb.jpg",
        "50%#?.jpg",
    ]
    for seed, name in enumerate(names):
        assert len(os.fsencode(name)) <= 255
        (folder / name).write_bytes(picture(seed))
    scan()
    assert queries.status().pictures == len(names)
    uris = {row.uri for row in queries.export_rows()}
    assert {f"{folder}/{name}" for name in names[:2]} <= uris
    assert f"{folder}/" + "caf\\xe9" * 60 + "\\xff.jpg" in uris
    scan()
    assert queries.status().pictures == len(names)
    assert {row.uri for row in queries.export_rows()} == uris, "found again by those names, and not missing"


def test_when_a_picture_was_taken_is_stored_apart_from_when_it_came(scan: Scan, folder: Path, queries: Queries) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2023:07:14 08:30:00", ExifTags.Base.OffsetTimeOriginal: "+02:00"}
    )
    Image.new("RGB", (40, 40)).save(folder / "card.jpg", exif=exif)
    scan()
    row: Any
    (row,) = queries.export_rows()
    assert row.captured_at == datetime(2023, 7, 14, 6, 30, tzinfo=UTC)
    assert row.ingested_at.year == 2026, "by the store's own clock"


def test_a_move_within_and_a_return_keep_the_picture(scan: Scan, folder: Path, queries: Queries) -> None:
    path = folder / "a.jpg"
    path.write_bytes(picture(0))
    (folder / "stays.jpg").write_bytes(picture(1))
    scan()
    before, stays = queries.export_rows()
    (folder / "sub").mkdir()
    path.rename(folder / "sub" / "b.jpg")
    scan()
    moved, _ = queries.export_rows()
    assert moved.uri == str(folder / "sub" / "b.jpg")
    assert (moved.sha256, moved.ingested_at) == (before.sha256, before.ingested_at)
    (folder / "sub" / "b.jpg").rename(folder.with_name("elsewhere.jpg"))
    scan()
    assert list(queries.export_rows()) == [stays]
    assert queries.status().pictures == 2, "missing, and not forgotten"
    folder.with_name("elsewhere.jpg").rename(path)
    scan()
    assert list(queries.export_rows()) == [before, stays]
    assert queries.status().pictures == 2
