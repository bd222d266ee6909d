"""Secrets: what is hidden, what stays readable, and what `ps` shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.redaction import starred, without_login
from storage.redaction import redacted

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////data/taxon.db", "sqlite:////data/taxon.db"),
        ("postgresql://me:p@ss@host/db?password=also", "postgresql://me:***@host/db?password=***"),
        ("rtsp://me:p/w#1@cam/stream is offline", "rtsp://me:***@cam/stream is offline"),
        ("http://cam/snap.jpg?user=a&pwd=b&channel=1", "http://cam/snap.jpg?user=a&pwd=***&channel=1"),
        ("rtsp://cam/user=admin_password=tlJwpbo6_channel=1", "rtsp://cam/user=admin_password=***"),
        ("rtsp://me:${FRONT}@cam/1", "rtsp://me:${FRONT}@cam/1"),
        ("['a=rtsp://u:p@h/1', 'b=rtsp://h/2']", "['a=rtsp://u:***@h/1', 'b=rtsp://h/2']"),
    ],
)
def test_passwords_are_hidden_and_all_else_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_a_login_is_hidden_whole() -> None:
    assert without_login("rtsp://token@cam/1") == "rtsp://***@cam/1"
    assert without_login("rtsp://me:p@cam/1@2") == "rtsp://***@2"  # rather too much than too little
    assert without_login("rtsp://cam/1") == "rtsp://cam/1"


def test_arguments_keep_their_length() -> None:
    before = b"taxon\0run\0--camera\0a=rtsp://me:p\xc3\xa4ss@cam/1\0--set\0x=http://h/?token=abc\0"
    after = starred(before)
    assert after == b"taxon\0run\0--camera\0a=rtsp://********@cam/1\0--set\0x=http://h/?token=***\0"
    assert len(after) == len(before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process write over its arguments")
def test_the_list_of_processes_shows_no_password() -> None:
    program = (
        "from agent.redaction import hide_arguments; hide_arguments()\n"
        "import sys; print(open('/proc/self/cmdline').read().split(chr(0))[-2], sys.argv[-1])"
    )
    url = "front=rtsp://me:secret@cam/1"
    done = subprocess.run([sys.executable, "-c", program, url], cwd=ROOT, capture_output=True, text=True, check=True)
    shown, argument = done.stdout.split()
    assert shown == "front=rtsp://*********@cam/1"
    assert argument == url
