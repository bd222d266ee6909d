from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import FolderConfig
from agent.sources.listing import Listing, PathRules

IGNORE = FolderConfig().ignore


def rules(root: Path, *exclude: Path) -> PathRules:
    return PathRules(str(root), IGNORE, exclude)


def listed(root: Path, *exclude: Path) -> list[str]:
    listing = Listing(rules(root, *exclude))
    files = sorted(os.path.relpath(path, root) for path, _ in listing.files(str(root), threading.Event()))
    assert listing.complete
    return files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    seen = ("a.jpg", "sub/b.jpg", "sub/deep/c.jpg", "data/h.jpg", "database/i.jpg")
    unseen = (".hidden/d.jpg", "sub/.e.jpg", "f.JPG.Part", "THUMBS.DB", "@eaDir/g.jpg")
    for name in (*seen, *unseen):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "root"


def test_everything_is_found_but_what_is_ignored(tree: Path) -> None:
    assert listed(tree) == ["a.jpg", "data/h.jpg", "database/i.jpg", "sub/b.jpg", "sub/deep/c.jpg"]


OF_EACH_GLOB = {
    ".*": [".upload.jpg", "._a.jpg", ".nfs0001.jpg", ".syncthing.a.jpg.tmp", ".DS_Store", ".stfolder", ".Trashes"],
    "~*": ["~a.jpg", "~$a.png"],
    "*.tmp": ["a.jpg.tmp", "A.JPG.TMP"],
    "*.part": ["a.jpg.part"],
    "*.partial": ["a.jpg.partial"],
    "*.crdownload": ["a.jpg.crdownload"],
    "*.filepart": ["a.jpg.filepart"],
    "*.!sync": ["a.jpg.!sync", "a.jpg.!Sync"],
    "desktop.ini": ["desktop.ini", "Desktop.ini"],
    "Thumbs.db": ["Thumbs.db", "thumbs.db"],
    "@eaDir": ["@eaDir"],
    "__MACOSX": ["__MACOSX"],
}


@pytest.mark.parametrize("glob", IGNORE)
def test_each_glob_of_the_default_leaves_out_files_and_folders(tmp_path: Path, glob: str) -> None:
    names = OF_EACH_GLOB[glob]
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jpg").touch()
    for name in names:
        (tmp_path / "deep" / name).touch()
    seen = f"of mine {names[0]}.jpg"
    (tmp_path / "deep" / seen).touch()
    (tmp_path / names[0]).mkdir()
    (tmp_path / names[0] / "b.jpg").touch()
    assert listed(tmp_path) == ["a.jpg", f"deep/{seen}"]
    alone = PathRules(str(tmp_path), [glob])
    assert not any(alone.admits(f"{tmp_path}/deep/{name}") for name in names)
    assert not any(alone.admits(f"{tmp_path}/{name}/b.jpg") for name in names)


def test_excluded_folders_are_left_out_by_whatever_name(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tree)
    assert "data/h.jpg" not in listed(tree, tree / "data")
    assert "data/h.jpg" not in listed(tree, tmp_path / "alias" / "data")
    assert "data/h.jpg" not in listed(tmp_path / "alias", tree / "data")
    assert "database/i.jpg" in listed(tree, tree / "data")
    assert "a.jpg" in listed(tree, tmp_path), "a folder above the root excludes nothing: the root was asked for"


def test_hints_and_listing_agree(tree: Path) -> None:
    admitted = rules(tree, tree / "data").admits
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            assert admitted(str(path)) is (str(path.relative_to(tree)) in listed(tree, tree / "data"))
    assert not admitted(str(tree))
    assert not admitted(str(tree) + "2/a.jpg")


def test_links_are_not_followed(tree: Path) -> None:
    (tree / "link.jpg").symlink_to(tree / "a.jpg")
    (tree / "loop").symlink_to(tree)
    os.mkfifo(tree / "pipe.jpg")
    assert "link.jpg" not in listed(tree)
    assert not any("loop" in path or "pipe" in path for path in listed(tree))


def followed(root: Path, *exclude: Path) -> list[str]:
    listing = Listing(rules(root, *exclude), follow_links=True)
    files = sorted(os.path.relpath(path, root) for path, _ in listing.files(str(root), threading.Event()))
    assert listing.complete
    return files


def test_links_are_followed_by_setting_and_each_folder_is_entered_once(tree: Path, tmp_path: Path) -> None:
    before = listed(tree)
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "o.jpg").write_bytes(b"outside")
    (outside / "deep" / "p.jpg").touch()
    (outside / "deep" / "up").symlink_to(outside)  # a loop out there
    (outside / "back").symlink_to(tree)  # a loop through here
    (tree / "aaa").symlink_to(outside)
    (tree / "zzz").symlink_to(outside)
    (tree / "0loop").symlink_to(tree)
    (tree / "sub" / "0sideways").symlink_to(tree / "data")
    (tree / "link.jpg").symlink_to(outside / "o.jpg")
    (tree / ".hidden link.jpg").symlink_to(outside / "o.jpg")
    os.mkfifo(tmp_path / "pipe")
    (tree / "pipe.jpg").symlink_to(tmp_path / "pipe")
    assert followed(tree) == sorted([*before, "aaa/deep/p.jpg", "aaa/o.jpg", "link.jpg"])
    assert listed(tree) == before
    ((_, stat),) = [found for found in Listing(rules(tree), True).files(str(tree), threading.Event())
                    if found[0].endswith("link.jpg")]  # fmt: skip
    assert stat.size_bytes == len(b"outside")


def test_no_link_leads_into_an_excluded_folder(tree: Path, tmp_path: Path) -> None:
    data = tmp_path / "elsewhere"
    (data / "frames").mkdir(parents=True)
    (data / "frames" / "x.jpg").touch()
    (tree / "link").symlink_to(data)
    (tree / "higher").symlink_to(tmp_path)
    assert [path for path in followed(tree) if path.endswith("x.jpg")]
    assert not [path for path in followed(tree, data) if path.endswith("x.jpg")]
    assert "x.jpg" in followed(data / "frames", data / "frames"), "what was asked for is never left out"


def test_a_link_that_leads_nowhere_proves_nothing(tree: Path, tmp_path: Path) -> None:
    (tree / "mount").symlink_to(tmp_path / "not mounted")
    listing = Listing(rules(tree), follow_links=True)
    list(listing.files(str(tree), threading.Event()))
    assert listing.unreadable == [str(tree / "mount")]


def test_folders_below_are_left_alone_by_setting(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "sub")
    flat = PathRules(str(tree), IGNORE, recursive=False)
    for follow_links in (False, True):
        found = Listing(flat, follow_links).files(str(tree), threading.Event())
        assert [os.path.relpath(path, tree) for path, _ in found] == ["a.jpg"]
    assert flat.admits(str(tree / "a.jpg"))
    assert not flat.admits(str(tree / "sub" / "b.jpg"))


def test_stop_ends_a_listing_which_then_proves_nothing(tree: Path) -> None:
    stop = threading.Event()
    stop.set()
    listing = Listing(rules(tree))
    assert list(listing.files(str(tree), stop)) == []
    assert not listing.complete


def test_an_unreadable_folder_is_noted_and_a_vanished_one_is_not(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:  # root may read everything: say no in the kernel's place
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        if path.endswith("data"):
            raise FileNotFoundError(2, "gone", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    listing = Listing(rules(tree))
    assert len(list(listing.files(str(tree), threading.Event()))) == 3
    assert listing.unreadable == [str(tree / "sub" / "deep")]


def test_paths_longer_than_the_system_takes_are_told_and_hide_nothing_else(tree: Path) -> None:
    name, here = "d" * 250, os.open(tree, os.O_RDONLY)
    numbers, long = [here], str(tree)
    while len(long) + 1 + len(name) < 4_096 - 10:  # then a name of ten letters fits, and a longer one does not
        os.mkdir(name, dir_fd=numbers[-1])
        numbers.append(os.open(name, os.O_RDONLY, dir_fd=numbers[-1]))
        long += f"/{name}"
    for file in ("a.jpg", "b" * 250 + ".jpg", "c.jpg"):
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, dir_fd=numbers[-1]))
    for number in numbers:
        os.close(number)
    listing = Listing(rules(tree))
    found = {os.path.basename(path) for path, _ in listing.files(str(tree), threading.Event())}
    assert found >= {"a.jpg", "b.jpg", "c.jpg", "i.jpg"}
    assert listing.unreadable == [long]
