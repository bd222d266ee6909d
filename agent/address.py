"""Where a camera is: `NAME=URL` taken apart, and what kind of thing the URL means. Only text; nothing is opened.

A URL may say `${NAME}` for what the environment holds, so that a password need stand nowhere else.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent.redaction import without_login

Kind = Literal["stream", "device", "file", "still"]

STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "srt", "udp", "tcp", "rtp")
STILLS = ("http", "https")
RECEIVER = "push"
"""The name of the source that receives pictures; outages are told by name."""

FORM = "a camera is given as NAME=URL, such as front=rtsp://host/stream"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Address:
    """One camera.

    Attributes:
        name: by which people know it; fit to be a folder's name.
        url: as it was given, with `${NAME}` in it; for files and devices an absolute path.
        kind: a `stream` never ends, nor does a `device` of this machine; a `file` does; a `still` is asked for again
            and again.
    """

    name: str
    url: str
    kind: Kind

    @property
    def shown(self) -> str:
        """The URL for people, logs and the database: without user and password."""
        return without_login(self.url)

    @property
    def finite(self) -> bool:
        return self.kind == "file"

    def missing(self, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Variables that the URL asks for and the environment lacks."""
        return [name for name in _VARIABLE.findall(self.url) if name not in environment]

    def full_url(self, environment: Mapping[str, str] = os.environ) -> str:
        """The URL to open, secrets and all."""
        return _VARIABLE.sub(lambda found: environment[found[1]], self.url)


def parse(text: str, *, still: bool = False) -> Address:
    """Take `NAME=URL` apart.

    Args:
        still: the URL gives one picture at a time.

    Raises:
        ValueError: it is none; the message is for people, and holds nothing of the URL but its scheme.
    """
    name, equals, url = text.partition("=")
    if not equals or not url or not _NAME.fullmatch(name):
        raise ValueError(FORM)
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() != "file":
        known = STILLS if still else STREAMS
        if scheme[1].lower() not in known:
            raise ValueError(f"{scheme[1]}:// is not known; use one of {', '.join(known)}")
        return Address(name, url, "still" if still else "stream")
    if still:
        raise ValueError("a still is asked for by HTTP; give NAME=http://...")
    path = os.path.abspath(url[scheme.end() :] if scheme is not None else url)
    return Address(name, path, "device" if _is_device(path) else "file")


def addresses(streams: Iterable[str], stills: Iterable[str]) -> list[Address]:
    """All cameras, in order.

    Raises:
        ValueError: one is wrong, two have the same name, or one has the receiver's.
    """
    found = [*map(parse, streams), *(parse(text, still=True) for text in stills)]
    names = [address.name for address in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two cameras are called {twice}; give each a name of its own")
    if RECEIVER in names:
        raise ValueError(f"{RECEIVER} is what pictures are from that others send; give the camera another name")
    return found


def _is_device(path: str) -> bool:
    if path.startswith("/dev/"):
        return True
    try:
        return stat.S_ISCHR(Path(path).stat().st_mode)
    except OSError:
        return False
