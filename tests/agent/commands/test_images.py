"""Which picture a person means."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from agent.commands.images import meant
from storage.errors import NotFound, Refused
from storage.queries import Queries
from storage.store import Store
from tests.factories import location, picture, sha


def test_by_hash_by_content_and_by_place(store: Store, queries: Queries, tmp_path: Path) -> None:
    """The content decides, wherever the file lies by now; of a file that has gone, the place where it lay."""
    file, copy, gone = tmp_path / "a.jpg", tmp_path / "copy.jpg", tmp_path / "gone.jpg"
    file.write_bytes(b"content")
    copy.write_bytes(b"content")
    content = replace(picture(0), sha256=hashlib.sha256(b"content").hexdigest(), location=location(str(file)))
    one, two = store.add([content, replace(picture(1), location=location(str(gone)))])
    asked = [content.sha256, content.sha256[:7].upper(), str(file), str(copy), str(gone), sha(1)[:6]]
    assert meant(queries, asked) == [one, one, one, one, two, two]


def test_a_file_that_is_not_stored_is_given_back(store: Store, queries: Queries, tmp_path: Path) -> None:
    (tmp_path / "abcdef").write_bytes(b"new")
    assert meant(queries, [str(tmp_path / "abcdef")]) == [tmp_path / "abcdef"]


def test_what_is_neither_is_told(store: Store, queries: Queries, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="neither a file nowhere.jpg nor a picture"):
        meant(queries, ["nowhere.jpg"])
    with pytest.raises(NotFound, match="no picture abcdef"):
        meant(queries, ["abcdef"])
    with pytest.raises(NotFound, match="no picture aaaaaaaaaaaa"):
        meant(queries, ["a" * 300])
    with pytest.raises(Refused, match="not a file"):
        meant(queries, [str(tmp_path)])
