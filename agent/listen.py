"""Where to listen: `HOST:PORT` taken apart, and whether other machines can reach it. Only text; nothing is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

LOOPBACK = "127.0.0.1"
FORM = "give HOST:PORT, such as 127.0.0.1:8080, or a port alone"
MOST = 65_535
_FORM = re.compile(r"(?:(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Listen:
    """An address of this machine; `host` is a name or a number, IPv6 without its brackets."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than localhost may mean anything."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Listen:
    """Take `HOST:PORT` apart; a port alone is one of this machine only.

    Raises:
        ValueError: it is none; the message is for people.
    """
    found = _FORM.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= MOST:
        raise ValueError(FORM)
    return Listen((found["host"] or LOOPBACK).strip("[]"), int(found["port"]))
