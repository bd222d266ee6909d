"""Where to listen, and who can reach it."""

from __future__ import annotations

import pytest

from agent.listen import Listen, parse


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("8080", "127.0.0.1", 8080, True),
        ("localhost:80", "localhost", 80, True),
        ("127.0.0.9:1", "127.0.0.9", 1, True),
        ("[::1]:65535", "::1", 65535, True),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("[::]:8080", "::", 8080, False),
        ("yard.example:8080", "yard.example", 8080, False),
    ],
)
def test_an_address_is_taken_apart(text: str, host: str, port: int, loopback: bool) -> None:
    listen = parse(text)
    assert (listen, listen.loopback) == (Listen(host, port), loopback)
    assert parse(str(listen)) == listen


@pytest.mark.parametrize("text", ["", "host", ":80", "host:0", "host:65536", "host:٣", "[::1", "http://host:80"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        parse(text)
