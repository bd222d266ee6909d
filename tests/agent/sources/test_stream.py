"""What is asked of PyAV: without a time limit a call waits for ever, and over UDP half of a picture is lost."""

from __future__ import annotations

from typing import Any

import av
import pytest

from agent.address import parse
from agent.config import CameraConfig
from agent.sources.feed import FeedError
from agent.sources.stream import NETWORK, StreamFeed

CONFIG = CameraConfig(open_timeout_s=7, read_timeout_s=3)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What was opened and how; nothing is there."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def refuse(url: str, **options: Any) -> None:
        calls.append((url, options))
        raise av.error.ConnectionRefusedError(111, "Connection refused", url)

    monkeypatch.setattr(av, "open", refuse)
    return calls


def ask(camera: str) -> str:
    with pytest.raises(FeedError) as caught:
        next(iter(StreamFeed(parse(camera), CONFIG).shots()))
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["rtsp", "RTSP", "rtsps"])
def test_rtsp_is_asked_for_over_tcp_and_with_both_time_limits(opened: list[Any], scheme: str) -> None:
    assert ask(f"front={scheme}://me:secret@192.0.2.1/1") == "connection refused"
    ((url, options),) = opened
    assert url == f"{scheme}://me:secret@192.0.2.1/1"
    assert options == {"options": {"protocol_whitelist": NETWORK, "rtsp_transport": "tcp"}, "timeout": (7, 3)}


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/video", "srt://192.0.2.1:9", "udp://192.0.2.1:9", "rtmp://192.0.2.1/1"]
)
def test_other_streams_have_both_time_limits_and_no_way_to_files(opened: list[Any], url: str) -> None:
    ask(f"front={url}")
    assert opened == [(url, {"options": {"protocol_whitelist": NETWORK}, "timeout": (7, 3)})]
    assert "file" not in NETWORK


def test_a_device_is_opened_by_video4linux_with_both_time_limits(opened: list[Any]) -> None:
    ask("usb=/dev/video0")
    assert opened == [("/dev/video0", {"format": "v4l2", "timeout": (7, 3)})]


def test_a_film_may_lead_to_files_alone(opened: list[Any]) -> None:
    ask("clip=/films/monday.mp4")
    ((url, options),) = opened
    assert url == "file:/films/monday.mp4"
    assert options == {"options": {"protocol_whitelist": "file,crypto"}}
