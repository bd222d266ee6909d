"""What one batch of arrivals changes: pictures, their places, and files that are no pictures.

Functions on an open write transaction; `Store.add` owns the transaction. Nothing here knows about kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count

from sqlalchemy import Connection, bindparam, delete, insert, select, true, update

from storage import counters
from storage.chunks import chunks
from storage.records import FRAME_MARK, LocationRecord, PictureRecord, RejectionRecord, VersionState
from storage.schema import (
    embeddings,
    encoder_versions,
    innate,
    locations,
    pictures,
    rejections,
    sources,
    thumbnails,
)
from storage.vectors import to_bytes

ATTEMPTS = 3
"""A file whose decoder dies is read so often, one scan after the other, until it changes."""

FRAMES_ASKED = 100


def ids_by_sha(connection: Connection, shas: Iterable[str]) -> dict[str, int]:
    """Ids of those content hashes that are stored."""
    found: dict[str, int] = {}
    for some in chunks(list(shas)):
        rows = connection.execute(select(pictures.c.sha256, pictures.c.id).where(pictures.c.sha256.in_(some)))
        found.update((row.sha256, row.id) for row in rows)
    return found


def add_pictures(connection: Connection, records: Sequence[PictureRecord], at: datetime) -> dict[str, int]:
    """Store the records whose content is new, each once; ids of all of them by content hash."""
    known = ids_by_sha(connection, {record.sha256 for record in records})
    fresh: dict[str, PictureRecord] = {}
    for record in records:
        if record.sha256 not in known:
            fresh.setdefault(record.sha256, record)
    if not fresh:
        return known
    at = _not_before_the_last(connection, at)
    connection.execute(
        insert(pictures),
        [
            {
                "sha256": record.sha256,
                "captured_at": record.captured_at,
                "ingested_at": at,
                "width_px": record.width_px,
                "height_px": record.height_px,
            }
            for record in fresh.values()
        ],
    )
    known.update(ids_by_sha(connection, fresh))
    _add_contents(connection, [(known[record.sha256], record) for record in fresh.values()])
    counters.bump(connection, pictures=len(fresh), pending=len(fresh), behind=len(fresh))
    return known


def _not_before_the_last(connection: Connection, at: datetime) -> datetime:
    """Ids and times of arrival grow together, even when the machine's clock is set back."""
    last = connection.execute(select(pictures.c.ingested_at).order_by(pictures.c.id.desc()).limit(1)).scalar()
    return at if last is None else max(at, last)


def _add_contents(connection: Connection, stored: Sequence[tuple[int, PictureRecord]]) -> None:
    connection.execute(insert(thumbnails), [{"picture_id": i, "image": record.thumbnail} for i, record in stored])
    connection.execute(insert(innate), [{"picture_id": i, "vector": to_bytes(record.innate_D)} for i, record in stored])
    # a version that was given up or retired while the batch was embedded has no use for its vectors
    living = select(encoder_versions.c.version).where(encoder_versions.c.state != VersionState.RETIRED)
    versions = set(connection.execute(living.where(encoder_versions.c.version > 1)).scalars())
    vectors = [
        {"version": version, "picture_id": i, "vector": to_bytes(vector_D)}
        for i, record in stored
        for version, vector_D in record.learned_D.items()
        if version in versions
    ]
    if vectors:
        connection.execute(insert(embeddings), vectors)


# -------------------------------------------------------------------------- places


def add_locations(connection: Connection, found: Sequence[tuple[int, LocationRecord]], at: datetime) -> None:
    """Say where pictures (by id) lie now; what lay there before is missing from now on."""
    if not found:
        return
    newest = {location.uri: (picture_id, location) for picture_id, location in found}
    present = _present(connection, list(newest))
    same, gone, fresh = [], [], []
    for uri, (picture_id, location) in newest.items():
        row_id, before = present.get(uri, (0, 0))
        if before == picture_id:
            same.append({"row": row_id, "size_bytes": location.size_bytes, "mtime_ns": location.mtime_ns})
            continue
        if before:
            gone.append(row_id)
        fresh.append(_location_values(picture_id, location, at))
    # overtaken within the batch: it was there, for a moment
    for picture_id, location in found:
        if newest[location.uri][0] != picture_id:
            fresh.append({**_location_values(picture_id, location, at), "missing_at": at})
    if same:
        connection.execute(update(locations).where(locations.c.id == bindparam("row")), same)
    _set_missing(connection, gone, at)
    _drop_old_frames(connection, [newest[uri][1] for uri in present], at)
    if fresh:
        connection.execute(insert(locations), fresh)
    drop_rejections(connection, list(newest))
    _see_sources(connection, {location.source for _, location in found}, at)


def _drop_old_frames(connection: Connection, read_anew: Iterable[LocationRecord], at: datetime) -> None:
    """Frames that were seen in an earlier state of these files, and not in this one, are there no more."""
    for file in read_anew:
        for start in count(1, FRAMES_ASKED):
            if FRAME_MARK in file.uri:
                break
            stats = _stats(connection, [f"{file.uri}{FRAME_MARK}{start + n}" for n in range(FRAMES_ASKED)])
            mark_missing(
                connection, [uri for uri, stat in stats.items() if stat != (file.size_bytes, file.mtime_ns)], at
            )
            if not stats:
                break


def _stats(connection: Connection, uris: Sequence[str]) -> dict[str, tuple[int | None, int | None]]:
    """Size and mtime of those that are there, as pictures or as rejected."""
    found: dict[str, tuple[int | None, int | None]] = {}
    for table, there in ((locations, locations.c.missing_at.is_(None)), (rejections, true())):
        query = select(table.c.uri, table.c.size_bytes, table.c.mtime_ns).where(table.c.uri.in_(uris), there)
        found.update((row.uri, (row.size_bytes, row.mtime_ns)) for row in connection.execute(query))
    return found


def _present(connection: Connection, uris: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Rows that say that something lies there: uri -> (location id, picture id)."""
    found: dict[str, tuple[int, int]] = {}
    columns = select(locations.c.uri, locations.c.id, locations.c.picture_id)
    for some in chunks(uris):
        rows = connection.execute(columns.where(locations.c.uri.in_(some), locations.c.missing_at.is_(None)))
        found.update((row.uri, (row.id, row.picture_id)) for row in rows)
    return found


def _location_values(picture_id: int, location: LocationRecord, at: datetime) -> dict[str, object]:
    return {
        "picture_id": picture_id,
        "uri": location.uri,
        "source": location.source,
        "size_bytes": location.size_bytes,
        "mtime_ns": location.mtime_ns,
        "seen_at": at,
        "missing_at": None,
    }


def _set_missing(connection: Connection, row_ids: Sequence[int], at: datetime) -> None:
    for some in chunks(row_ids):
        connection.execute(update(locations).where(locations.c.id.in_(some)).values(missing_at=at))


def note_repeats(connection: Connection, counts: Mapping[str, int]) -> None:
    """Near copies of pictures by content hash; the highest number that was ever told stays."""
    this = pictures.c.sha256 == bindparam("of_sha256")
    raised = update(pictures).where(this, pictures.c.repeats < bindparam("count")).values(repeats=bindparam("count"))
    connection.execute(raised, [{"of_sha256": sha256, "count": count} for sha256, count in counts.items()])


def mark_missing(connection: Connection, uris: Sequence[str], at: datetime) -> None:
    """Nothing lies there any more: neither a picture nor a file that was rejected."""
    _set_missing(connection, [row_id for row_id, _ in _present(connection, uris).values()], at)
    drop_rejections(connection, uris)


def _see_sources(connection: Connection, names: Iterable[str], at: datetime) -> None:
    for name in sorted(names):
        seen = connection.execute(update(sources).where(sources.c.name == name).values(last_at=at))
        if seen.rowcount == 0:
            connection.execute(insert(sources).values(name=name, first_at=at, last_at=at))


# -------------------------------------------------------------------------- no pictures


def add_rejections(connection: Connection, records: Sequence[RejectionRecord], at: datetime) -> None:
    """Note files that are no pictures, one row a uri; a picture that lay there before is missing from now on."""
    if not records:
        return
    newest = {record.location.uri: record for record in records}
    present = _present(connection, list(newest))
    _set_missing(connection, [row_id for row_id, _ in present.values()], at)
    _drop_old_frames(connection, [newest[uri].location for uri in present], at)
    before = _rejected(connection, list(newest))
    again = [
        {**_rejection_values(newest[uri], at, attempts + 1 if sha256 == newest[uri].sha256 else 1), "row": row}
        for uri, (row, sha256, attempts) in before.items()
    ]
    if again:
        connection.execute(update(rejections).where(rejections.c.id == bindparam("row")), again)
    fresh = [
        {**_rejection_values(record, at, 1), "first_at": at} for uri, record in newest.items() if uri not in before
    ]
    if fresh:
        connection.execute(insert(rejections), fresh)
    counters.bump(connection, rejected=len(fresh))
    _see_sources(connection, {record.location.source for record in records}, at)


def drop_rejections(connection: Connection, uris: Sequence[str]) -> None:
    """Forget that these files were rejected."""
    rows = [row for row, _, _ in _rejected(connection, uris).values()]
    for some in chunks(rows):
        connection.execute(delete(rejections).where(rejections.c.id.in_(some)))
    counters.bump(connection, rejected=-len(rows))


def _rejected(connection: Connection, uris: Sequence[str]) -> dict[str, tuple[int, str, int]]:
    """Row, content hash and attempts of those that are rejected."""
    found: dict[str, tuple[int, str, int]] = {}
    columns = select(rejections.c.uri, rejections.c.id, rejections.c.sha256, rejections.c.attempts)
    for some in chunks(uris):
        rows = connection.execute(columns.where(rejections.c.uri.in_(some)))
        found.update((row.uri, (row.id, row.sha256, row.attempts)) for row in rows)
    return found


def _rejection_values(record: RejectionRecord, at: datetime, attempts: int) -> dict[str, object]:
    values = {**_said_of(record, at), "attempts": attempts}
    if record.fatal and attempts < ATTEMPTS:  # without a stat it is not known, so the next scan reads it again
        return {**values, "size_bytes": None, "mtime_ns": None, "reason": f"{values['reason']}; to be tried again"}
    return {**values, "reason": f"{values['reason']}; {attempts} attempts"} if record.fatal else values


def _said_of(record: RejectionRecord, at: datetime) -> dict[str, object]:
    return {
        "uri": record.location.uri,
        "source": record.location.source,
        "size_bytes": record.location.size_bytes,
        "mtime_ns": record.location.mtime_ns,
        "sha256": record.sha256,
        "captured_at": record.captured_at,
        "reason": record.reason.replace("\0", ""),  # which PostgreSQL takes in no text
        "last_at": at,
    }
