"""The gallery: what is on a sheet, and where it is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from agent import gallery
from agent.chart import NOTHING_YET, Label
from agent.gallery import kind_sheet, map_labels, unassigned_sheet, write_gallery
from storage.errors import NotFound, Refused
from storage.queries import Queries
from storage.records import ClusterRecord, ClusterState
from storage.store import Store
from tests.factories import EPOCH, Clock, assign, pictures, round_of, sha

HOSTILE = '"><script>alert(1)</script>&'


@pytest.fixture
def kind(store: Store, clock: Clock) -> int:
    """A kind of pictures 0 to 9, the later the less certain, with exemplars 4, 0 and 2; 10 and 11 are in none."""
    ids = store.add(pictures(range(12)))
    (one,) = store.allocate_clusters(1)
    belongs = {i: one if at < 10 else None for at, i in enumerate(ids)}
    record = ClusterRecord(one, ClusterState.ACTIVE, exemplars=(ids[4], ids[0], ids[2]))
    sure = assign(belongs)
    sure.probability_N[:] = [1 - at / 20 for at in range(12)]
    clock.tick()
    store.add_clustering(replace(round_of(belongs, clusters=[record]), assignments=sure))
    return one


def shown(queries: Queries, kind: int, per_kind: int) -> list[tuple[str, bool]]:
    sheet = kind_sheet(queries, queries.cluster(kind), None, per_kind)
    return [(tile.sha256, tile.framed) for tile in sheet.tiles]


def test_the_medoid_is_first_then_the_diverse_then_the_least_certain_framed(queries: Queries, kind: int) -> None:
    typical = [(sha(n), False) for n in (4, 0, 2)]
    assert queries.cluster(kind).cluster.exemplars == (sha(4), sha(0), sha(2))
    assert shown(queries, kind, 6) == [*typical, (sha(9), True), (sha(8), True), (sha(7), True)]
    assert shown(queries, kind, 24) == [*typical, *((sha(n), True) for n in (9, 8, 7, 6, 5, 3, 1))]
    assert shown(queries, kind, 4) == [*typical, (sha(9), True)]
    assert shown(queries, kind, 1) == [(sha(4), False)]


def test_an_exemplar_that_people_moved_is_not_shown(store: Store, queries: Queries, kind: int) -> None:
    store.move([sha(4)], None, "person")
    assert shown(queries, kind, 1) == [(sha(0), False)]


def test_what_is_in_no_kind_has_a_sheet_of_its_own(queries: Queries, kind: int) -> None:
    assert [tile.sha256 for tile in unassigned_sheet(queries, None, 24).tiles] == [sha(10), sha(11)]


def test_the_folder_holds_a_page_that_shows_every_file(queries: Queries, kind: int, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "gallery"
    assert write_gallery(queries, out) == 2
    assert sorted(path.name for path in out.iterdir()) == [
        "index.html",
        f"kind-{kind}.png",
        "map.png",
        "map.svg",
        "timeline.svg",
        "unassigned.png",
    ]
    page = (out / "index.html").read_text()
    for name in (f"kind-{kind}.png", "map.png", "map.svg", "timeline.svg", "unassigned.png"):
        assert f'"{name}"' in page
    with Image.open(out / f"kind-{kind}.png") as sheet:
        assert sheet.format == "PNG"
    assert "http" not in page


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_text_on_the_page_and_no_part_of_a_file_name(
    store: Store, queries: Queries, kind: int, tmp_path: Path
) -> None:
    store.rename(kind, HOSTILE, "person")
    write_gallery(queries, tmp_path / "out")
    tags = Tags()
    tags.feed((tmp_path / "out" / "index.html").read_text())
    assert "script" not in tags.names
    assert f"kind {kind}, {HOSTILE}, active, 10 pictures" in tags.text
    assert (tmp_path / "out" / f"kind-{kind}.png").is_file()


def test_the_same_gallery_twice_is_the_same(queries: Queries, kind: int, tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    write_gallery(queries, tmp_path / "out")
    before = content()
    write_gallery(queries, tmp_path / "out")
    assert content() == before


def test_what_is_not_a_gallery_is_left_alone(queries: Queries, kind: int, tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("mine")
    folder.mkdir()
    (folder / "index.html").write_text("mine")
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "nowhere")
    for out in (file, folder, dangling, tmp_path):
        with pytest.raises(Refused, match="--out"):
            write_gallery(queries, out)
    assert file.read_text() == "mine"
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert not (tmp_path / "nowhere").exists()


def test_a_link_in_the_folder_is_replaced_and_not_followed(queries: Queries, kind: int, tmp_path: Path) -> None:
    write_gallery(queries, tmp_path / "out")
    outside, sheet = tmp_path / "outside", tmp_path / "out" / f"kind-{kind}.png"
    outside.write_text("mine")
    sheet.unlink()
    sheet.symlink_to(outside)
    (tmp_path / "out" / "notes.txt").write_text("mine")
    write_gallery(queries, tmp_path / "out")
    assert (outside.read_text(), sheet.is_symlink()) == ("mine", False)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_only_the_kinds_that_were_asked_for(store: Store, queries: Queries, kind: int, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="99"):
        write_gallery(queries, tmp_path / "none", kinds=[99])
    assert not (tmp_path / "none").exists()
    store.hide(kind, "person")
    assert write_gallery(queries, tmp_path / "all") == 1  # what is in no kind
    assert write_gallery(queries, tmp_path / "one", kinds=[kind, kind]) == 1
    assert not (tmp_path / "one" / "unassigned.png").exists()
    assert f"kind {kind}, active, hidden" in (tmp_path / "one" / "index.html").read_text()


def test_as_it_stood_before_the_first_round(queries: Queries, kind: int, tmp_path: Path) -> None:
    assert write_gallery(queries, tmp_path / "before", as_of=EPOCH) == 1
    assert "no kinds yet" in (tmp_path / "before" / "timeline.svg").read_text()
    assert write_gallery(queries, tmp_path / "after", as_of=EPOCH + timedelta(seconds=1)) == 2
    assert kind_sheet(queries, queries.cluster(kind, EPOCH + timedelta(seconds=1)), None, 1).tiles[0].sha256 == sha(4)


def test_an_empty_store_gives_a_page(store: Store, queries: Queries, tmp_path: Path) -> None:
    assert write_gallery(queries, tmp_path / "out") == 1
    assert (tmp_path / "out" / "index.html").is_file()


# -------------------------------------------------------------------------- the map


@pytest.fixture
def mapped(store: Store, queries: Queries, kind: int) -> int:
    """Picture n lies at (n, -n), but for picture 11, which is not on the map."""
    ids = queries.ids_before(None, 12)[::-1].tolist()
    store.set_layout(1, ids[:11], np.array([(n, -n) for n in range(11)], dtype=np.float32))
    return kind


def labels(queries: Queries) -> list[Label]:
    return map_labels(queries, queries.clusters(), queries.map(99), None)


def test_a_kind_is_named_at_its_medoid_as_long_as_that_is_there(store: Store, queries: Queries, mapped: int) -> None:
    store.rename(mapped, "moths", "anna")
    assert labels(queries) == [Label(mapped, "moths", 4, -4)]
    store.move([sha(4)], None, "anna")
    (first, made) = labels(queries)
    assert first == Label(mapped, "moths", 0, 0)
    assert (made.x, made.y) == (4, -4)
    store.forget([sha(n) for n in range(10)], "anna")
    assert labels(queries) == []


def test_the_map_shows_kinds_as_of_then_and_hides_what_is_hidden(
    store: Store, queries: Queries, clock: Clock, mapped: int, tmp_path: Path
) -> None:
    def dots(as_of: datetime | None) -> dict[str, int]:
        write_gallery(queries, tmp_path / "out", as_of)
        tree = ElementTree.fromstring((tmp_path / "out" / "map.svg").read_text())
        paths = [one for one in tree.iter() if one.get("class") == "dots"]
        return {path[0].text or "": path.get("d", "").count("M") for path in paths}

    then = clock()
    clock.tick()
    _, made = store.move([sha(9)], None, "anna")
    assert dots(None) == {"in no kind": 1, f"kind {mapped}": 9, f"kind {made}": 1}
    assert dots(then) == {"in no kind": 1, f"kind {mapped}": 10}
    store.hide(mapped, "anna")
    assert dots(None) == {"in no kind": 1, f"kind {made}": 1}


def test_the_map_is_no_larger_than_a_page_can_hold(
    queries: Queries, mapped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery, "SVG_DOTS", 4)
    write_gallery(queries, tmp_path / "out")
    assert (tmp_path / "out" / "map.svg").read_text().count("h0") == 4
    with Image.open(tmp_path / "out" / "map.png") as picture:
        assert len(picture.getcolors(1 << 20) or []) > 3


def test_without_a_map_the_gallery_says_so(queries: Queries, kind: int, tmp_path: Path) -> None:
    write_gallery(queries, tmp_path / "out")
    assert NOTHING_YET in (tmp_path / "out" / "map.svg").read_text()
