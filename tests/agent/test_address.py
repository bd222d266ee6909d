from __future__ import annotations

from pathlib import Path

import pytest

from agent.address import addresses, parse


@pytest.mark.parametrize(
    ("text", "name", "url", "kind"),
    [
        ("front=rtsp://cam/1?a=b", "front", "rtsp://cam/1?a=b", "stream"),
        ("yard.2=https://cam/video.mjpg", "yard.2", "https://cam/video.mjpg", "stream"),
        ("usb=/dev/video7", "usb", "/dev/video7", "device"),
        ("clip=/films/a=b.mp4", "clip", "/films/a=b.mp4", "file"),
        ("clip=file:///films/a.mp4", "clip", "/films/a.mp4", "file"),
        ("clip=a.mp4", "clip", str(Path.cwd() / "a.mp4"), "file"),
    ],
)
def test_what_a_url_means(text: str, name: str, url: str, kind: str) -> None:
    address = parse(text)
    assert (address.name, address.url, address.kind) == (name, url, kind)
    assert address.finite == (kind == "file")


@pytest.mark.parametrize(
    "text", ["rtsp://me:secret@cam", "=rtsp://me:secret@cam", "../up=rtsp://me:secret@cam", "a b=x", "a=", "a"]
)
def test_what_is_no_camera_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=URL") as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_schemes_and_stills() -> None:
    with pytest.raises(ValueError, match="gopher:// is not known"):
        parse("a=gopher://me:secret@cam")
    with pytest.raises(ValueError, match="rtsp:// is not known"):
        parse("a=rtsp://cam", still=True)
    with pytest.raises(ValueError, match="HTTP"):
        parse("a=/tmp/still.jpg", still=True)
    assert parse("a=http://cam/still.jpg", still=True).kind == "still"


def test_secrets_come_from_the_environment() -> None:
    address = parse("front=rtsp://admin:${FRONT_PASSWORD}@cam/${CHANNEL}")
    assert address.missing({"CHANNEL": "1"}) == ["FRONT_PASSWORD"]
    assert address.full_url({"CHANNEL": "1", "FRONT_PASSWORD": "p"}) == "rtsp://admin:p@cam/1"
    assert "admin" not in address.shown


def test_names_are_given_once() -> None:
    with pytest.raises(ValueError, match="two cameras are called a"):
        addresses(["a=rtsp://x", "b=rtsp://x"], ["a=http://y"])


def test_no_camera_has_the_name_of_the_receiver() -> None:
    with pytest.raises(ValueError, match="another name"):
        addresses(["push=rtsp://cam"], [])
