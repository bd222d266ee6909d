"""Hiding logins as well as passwords, and both in the list of processes.

It knows nothing about settings or cameras. What it does not recognise as a secret stays readable.
"""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path

from storage.redaction import PARAMETER, redacted

USER = re.compile(r"://[^\s/?#]*@")
LOGIN = re.compile(r"(://)(\S+)(?=@)")
ARGUMENTS = 45, 46
"""Where /proc/self/stat, after the command's name, says between which addresses the arguments lie."""


def without_login(text: str) -> str:
    """As `redacted`, and without the names of users too: some cameras take a token for one."""
    return USER.sub("://***@", redacted(text))


def hide_arguments() -> None:
    """Overwrite secrets in this process's arguments, which `ps` shows to everybody; on Linux, elsewhere nothing."""
    if sys.platform != "linux":
        return
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = (int(fields[i]) for i in ARGUMENTS)
        before = Path("/proc/self/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return
    after = starred(before)
    if begin and end - begin == len(before) == len(after) and after != before:
        ctypes.memmove(begin, after, len(after))


def starred(arguments: bytes) -> bytes:
    """Arguments, each ended by a zero byte, with stars over secrets; as long as before."""
    return b"\0".join(_starred(argument) for argument in arguments.split(b"\0"))


def _starred(argument: bytes) -> bytes:
    text = argument.decode("latin-1")
    for pattern in (LOGIN, PARAMETER):
        text = pattern.sub(lambda found: found[1] + "*" * len(found[2]), text)
    return text.encode("latin-1")
