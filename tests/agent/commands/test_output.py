"""How answers look in a pipe and to programs."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.commands.output import plain, print_facts, print_json, print_table, shown
from storage.records import ClusterState, Event, EventType


def test_json_values_are_plain() -> None:
    east = timezone(timedelta(hours=2))
    value = {
        "event": Event(EventType.SPLIT, 3, (4, 5), {"share": 0.123456789}),
        "at": datetime(2026, 1, 1, 2, 0, tzinfo=east),
        "nothing": float("nan"),
        "path": Path("/a"),
        "state": ClusterState.ACTIVE,
    }
    assert plain(value) == {
        "event": {
            "type": "split", "cluster_id": 3, "other_ids": [4, 5], "detail": {"share": 0.123457}, "actor": "agent",
        },
        "at": "2026-01-01T00:00:00+00:00",
        "nothing": None,
        "path": "/a",
        "state": "active",
    }  # fmt: skip


def test_json_is_whole_and_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"name": "Käfer"}])
    text = capsys.readouterr().out
    assert json.loads(text) == [{"name": "Käfer"}]
    assert "Käfer" in text


def test_a_piped_table_is_aligned_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    long = "/pictures/" + "x" * 300
    print_table(("id", "name", "uri"), [(1, "", long), (1234, "[red]cars", "/a")], empty="none")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["id    name       uri", f"1                {long}", "1234  [red]cars  /a"]


def test_a_name_that_holds_control_characters_stays_in_its_line_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = "/a\nb\x1b[31m\x9b2J\u2028c.jpg"
    print_table(("uri", "kind"), [(odd, 1)], empty="none")
    print_facts({"lies at": (odd,)})
    shown_as = r"/a\nb\x1b[31m\x9b2J\u2028c.jpg"
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [f"{shown_as}  1", f"lies at  {shown_as}"]
    assert shown("Käfer\u3000甲虫 \\ é") == "Käfer\u3000甲虫 \\ é"


def test_an_empty_table_says_why_beside_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id",), [], empty="no kinds yet")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "no kinds yet\n")


def test_facts_are_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"pid": None, "kinds": {"active": 2}, "paused": False, "sources": []})
    assert capsys.readouterr().out.splitlines() == ["pid      -", "kinds    active=2", "paused   no", "sources  -"]


@pytest.mark.parametrize(("value", "text"), [(0.123456, "0.123"), ((1, 2), "1, 2"), (True, "yes"), ("", "")])
def test_cells(value: object, text: str) -> None:
    assert shown(value) == text
