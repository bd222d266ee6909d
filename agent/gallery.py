"""A folder for people: a contact sheet for each kind, the map, the timeline, and a page that shows them all.

It asks the store and writes files. It writes into a folder that is new, empty, or a gallery already, and nowhere else:
file names come from ids, and each file is renamed into its place, so that a link that lies there is replaced and
not followed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from agent.chart import Label, draw_map_png, draw_map_svg, scale_of
from agent.colours import colour_of
from agent.sheets import Tile, draw_sheet
from agent.timeline import draw_timeline
from storage.answers import Answers
from storage.errors import NotFound, Refused
from storage.records import ClusterState
from storage.rows import ClusterDetail, ClusterRow, PlaceRow

INDEX, TIMELINE, UNASSIGNED = "index.html", "timeline.svg", "unassigned.png"
MAP, MAP_SVG = "map.png", "map.svg"
DOTS, SVG_DOTS = 50_000, 10_000
"""Pictures that the map shows, at most, as pixels and as SVG: what a page can hold, and what a browser can."""

MARK = '<meta name="generator" content="taxon gallery">'
BORDERLINE_SHARE = 4
STYLE = "body{font-family:sans-serif;margin:2em}img,object{max-width:100%}h2{border-left:.6em solid;padding-left:.4em}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one contact sheet shows; `cluster_id` is None for the pictures that are in no kind."""

    cluster_id: int | None
    title: str
    tiles: tuple[Tile, ...]

    @property
    def file(self) -> str:
        return UNASSIGNED if self.cluster_id is None else f"kind-{self.cluster_id}.png"


def write_gallery(
    queries: Answers, out: Path, as_of: datetime | None = None, kinds: Sequence[int] = (), per_kind: int = 24
) -> int:
    """Write a gallery and return how many sheets it has.

    Args:
        kinds: only these, ended and hidden ones too; without any, all living kinds that are not hidden, the biggest
            first, and what is in no kind.
        per_kind: pictures on a sheet, at most.

    Raises:
        NotFound: there is no such kind. Nothing was written.
        Refused: `out` is a file, or a folder that holds something else. Nothing was written.
    """
    check_folder(out)
    chosen = list(dict.fromkeys(kinds)) or _living(queries, as_of)
    details = [queries.cluster(kind, as_of) for kind in chosen]
    titles: list[tuple[int | None, str]] = [(detail.cluster.id, _title(detail)) for detail in details]
    if not kinds:
        titles.append((None, _UNASSIGNED_TITLE))
    everyone = queries.clusters(as_of, include_ended=True)
    names = {row.id: row.name for row in everyone}
    timeline = draw_timeline(queries.sizes(as_of), queries.history(until=as_of), names, as_of)
    out.mkdir(parents=True, exist_ok=True)
    # the page first: a gallery that was cut short is known for one, and made whole by the next
    _place(out / INDEX, _page(titles, as_of).encode())
    _place(out / TIMELINE, timeline.encode())
    _place_map(queries, out, everyone, as_of)
    for detail in details:  # one sheet in memory at a time
        _place_sheet(out, kind_sheet(queries, detail, as_of, per_kind))
    if not kinds:
        _place_sheet(out, unassigned_sheet(queries, as_of, per_kind))
    return len(titles)


def check_folder(out: Path) -> None:
    """Raises Refused where a gallery would be in the way of something else."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise Refused(f"{out} is not a folder; name a new one with --out")
    index = out / INDEX
    ours = index.is_file() and not index.is_symlink() and MARK.encode() in index.read_bytes()
    if not ours and any(out.iterdir()):
        raise Refused(f"{out} holds other things than a gallery; name a new folder with --out")


def kind_sheet(queries: Answers, detail: ClusterDetail, as_of: datetime | None, per_kind: int) -> Sheet:
    """The medoid, then the other exemplars, each far from those before it, then the least certain members, framed."""
    cluster = detail.cluster
    exemplars = [sha256 for sha256 in cluster.exemplars if _belongs(queries, sha256, cluster.id, as_of)]
    typical = exemplars[: max(1, per_kind - per_kind // BORDERLINE_SHARE)]
    rest = [row.sha256 for row in detail.borderline if row.sha256 not in typical]
    tiles = [Tile(sha256, queries.thumbnail(sha256)) for sha256 in typical]
    tiles += [Tile(sha256, queries.thumbnail(sha256), framed=True) for sha256 in rest[: per_kind - len(typical)]]
    return Sheet(cluster.id, _title(detail), tuple(tiles))


def unassigned_sheet(queries: Answers, as_of: datetime | None, per_kind: int) -> Sheet:
    """The first pictures that are in no kind, as they arrived."""
    rows = queries.pictures(unassigned=True, limit=per_kind, as_of=as_of)
    return Sheet(None, _UNASSIGNED_TITLE, tuple(Tile(row.sha256, queries.thumbnail(row.sha256)) for row in rows))


def map_labels(
    queries: Answers, kinds: Sequence[ClusterRow], places: Sequence[PlaceRow], as_of: datetime | None
) -> list[Label]:
    """Each kind that the map shows, where the first of its exemplars lies that still belongs to it; else where one of
    its pictures does."""
    shown = {place.cluster_id: place for place in reversed(places)}
    lies = queries.on_map([sha256 for kind in kinds for sha256 in kind.exemplars], as_of)
    labels = []
    for kind in kinds:
        own = [lies[sha256] for sha256 in kind.exemplars if sha256 in lies and lies[sha256].cluster_id == kind.id]
        at = own[0] if own else shown.get(kind.id)
        if at is not None:
            labels.append(Label(kind.id, kind.name, at.x, at.y))
    return labels


_UNASSIGNED_TITLE = "in no kind, as they arrived"


def _living(queries: Answers, as_of: datetime | None) -> list[int]:
    rows = [row for row in queries.clusters(as_of) if not row.hidden and row.state is not ClusterState.ENDED]
    return [row.id for row in sorted(rows, key=lambda row: (-row.size, row.id))]


def _belongs(queries: Answers, sha256: str, cluster_id: int, as_of: datetime | None) -> bool:
    """People may have moved or forgotten an exemplar since the round that chose it."""
    try:
        return queries.picture(sha256, as_of).picture.cluster_id == cluster_id
    except NotFound:
        return False


def _title(detail: ClusterDetail) -> str:
    kind = detail.cluster
    named = f"kind {kind.id}, {kind.name}" if kind.name else f"kind {kind.id}"
    pictures = "1 picture" if kind.size == 1 else f"{kind.size} pictures"
    return f"{named}, {kind.state.value}{', hidden' if kind.hidden else ''}, {pictures}"


def _page(titles: Sequence[tuple[int | None, str]], as_of: datetime | None) -> str:
    when = "" if as_of is None else f" as of {as_of.isoformat()}"
    parts = [
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}',
        f"<title>Kinds{escape(when)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Kinds{escape(when)}</h1>",
    ]
    for cluster_id, title in titles:
        file, colour = Sheet(cluster_id, title, ()).file, colour_of(cluster_id)
        parts.append(f'<h2 style="border-color:{colour}">{escape(title)}</h2>')
        parts.append(f'<img src="{file}" alt="{escape(title)}">')
    parts.append(f'<h2>Map</h2>\n<object type="image/svg+xml" data="{MAP_SVG}"><a href="{MAP_SVG}">map</a></object>')
    parts.append(f'<p><a href="{MAP}">with more pictures</a></p>')
    parts.append(f'<h2>Lineage</h2>\n<object type="image/svg+xml" data="{TIMELINE}">')
    parts.append(f'<a href="{TIMELINE}">timeline</a></object>\n</body>\n</html>\n')
    return "\n".join(parts)


def _place_map(queries: Answers, out: Path, kinds: Sequence[ClusterRow], as_of: datetime | None) -> None:
    hidden = {kind.id for kind in kinds if kind.hidden}
    places = [place for place in queries.map(DOTS, as_of) if place.cluster_id not in hidden]
    labels = map_labels(queries, [kind for kind in kinds if not kind.hidden], places, as_of)
    scale = scale_of(places)
    _place(out / MAP_SVG, draw_map_svg(places[:SVG_DOTS], labels, scale).encode())
    _place_image(out / MAP, draw_map_png(places, labels, scale))


def _place_sheet(out: Path, sheet: Sheet) -> None:
    _place_image(out / sheet.file, draw_sheet(sheet.title, colour_of(sheet.cluster_id), sheet.tiles))


def _place_image(path: Path, image: Image.Image) -> None:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    _place(path, buffer.getvalue())


def _place(path: Path, content: bytes) -> None:
    """A file appears under its name only when it is whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
