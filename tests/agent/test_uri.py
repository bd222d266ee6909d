"""Paths as text, and the frames of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.uri import file_of, file_uri, frame_uri, here, on_machine


def test_a_path_is_its_text() -> None:
    assert file_uri(Path("/a/b c/ü.jpg")) == "/a/b c/ü.jpg"


def test_bytes_that_are_no_text_fit_a_database() -> None:
    uri = file_uri(os.fsdecode(b"/a/\xff\xfe.jpg"))
    assert uri == r"/a/\xff\xfe.jpg"
    assert uri.encode("utf-8")


@pytest.mark.parametrize("uri", ["/a/b.gif", "/a/b#2.gif"])
def test_a_frame_lies_in_its_file(uri: str) -> None:
    assert frame_uri(uri, 0) == uri
    assert file_of(frame_uri(uri, 7)) == uri
    assert frame_uri(uri, 7) != frame_uri(uri, 8)


@pytest.mark.parametrize("machine", ["", "gate"])
def test_a_place_is_found_again_on_its_machine(machine: str) -> None:
    assert here(machine, on_machine(machine, "/a/b:c.jpg")) == "/a/b:c.jpg"
    assert on_machine("gate", "/a") != on_machine("yard", "/a") != on_machine("", "/a")
