"""Log lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from agent.config import LogConfig
from agent.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_lines_hold_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogConfig(format="json"))
    structlog.get_logger("x").info("round", kinds=3)
    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert (line["event"], line["kinds"], line["level"]) == ("round", 3, "info")
    assert line["timestamp"].endswith("Z")
    assert captured.out == ""


def test_a_failure_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogConfig(format="json"))
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert json.loads(capsys.readouterr().err)["exception"][0]["exc_value"] == "broken"


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_tells_no_values(form: Literal["console", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogConfig(format=form))

    def connect(password: str) -> None:
        raise ValueError("nobody there")

    try:
        connect("".join(("open", "sesame")))
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "connect" in text
    assert "nobody there" in text
    assert "opensesame" not in text


def test_lines_below_the_level_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogConfig(level="warning"))
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud", folder="/a b")
    text = capsys.readouterr().err
    assert "quiet" not in text
    assert "loud" in text
    assert "folder='/a b'" in text
    assert "\x1b" not in text
