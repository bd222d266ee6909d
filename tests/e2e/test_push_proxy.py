"""What is sent through a proxy with TLS, as docs/sources.md sets it up. Skipped where there is no such program."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests import proxies
from tests.cameras import free_port
from tests.e2e.conftest import CHEAP, OFF, Taxon
from tests.pictures import jpeg

pytestmark = pytest.mark.slow

TOKEN = "s3cr3t-of-the-tests"
SAID = {"X-Taxon-Source": "gate", "X-Taxon-Captured-At": "2026-11-25T09:30:12Z", "X-Taxon-Name": "7.jpg"}
OTHERS = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-IP": "127.0.0.1"}


class Proxied:
    """A door that is reached by TLS alone, and lets in one at a time."""

    def __init__(self, taxon: Taxon, name: str, home: Path) -> None:
        self.door, self.port = free_port(), free_port()
        settings = (*OFF, *CHEAP, "--set", "push.at_once=1", "--set", "push.max_mb=4")
        taxon.start_bare("run", "--push", f"127.0.0.1:{self.door}", *settings)
        self.proxy = proxies.start(name, home, self.port, self.door)
        taxon.wait_for(self._is_open)

    def send(self, picture: bytes, token: str = TOKEN, **more: str) -> httpx.Response:
        headers = {**SAID, **OTHERS, "Host": f"{proxies.HOST}:{self.port}", "Authorization": f"Bearer {token}", **more}
        with httpx.Client(verify=False, trust_env=False, timeout=60) as client:
            name = {"sni_hostname": proxies.HOST}
            return client.post(
                f"https://127.0.0.1:{self.port}/ingest", content=picture, headers=headers, extensions=name
            )

    def _is_open(self) -> bool:
        assert self.proxy.poll() is None
        try:
            return self.send(b"", "no-token-at-all-here").status_code == 401
        except httpx.TransportError:
            return False


@pytest.fixture(params=["nginx", "caddy"])
def proxied(
    request: pytest.FixtureRequest, taxon: Taxon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxied]:
    reason = proxies.why_not(request.param)
    if reason:
        pytest.skip(reason)
    monkeypatch.setenv("TAXON_PUSH__TOKEN", TOKEN)
    proxied = Proxied(taxon, request.param, tmp_path / "proxy")
    yield proxied
    proxied.proxy.terminate()
    try:
        proxied.proxy.wait(10)
    except subprocess.TimeoutExpired:
        proxied.proxy.kill()
        proxied.proxy.wait()


def test_headers_and_answers_pass_through_a_proxy(proxied: Proxied, taxon: Taxon, tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (1_000, 1_000, 3), dtype=np.uint8)
    Image.fromarray(grain).save(tmp_path / "large.png")
    large = (tmp_path / "large.png").read_bytes()
    assert len(large) > 2 << 20, "more than nginx takes by itself"

    assert proxied.send(jpeg("disc", 0)).status_code == 201
    assert proxied.send(jpeg("disc", 0)).status_code == 200
    assert proxied.send(large).status_code == 201
    stranger = proxied.send(jpeg("disc", 1), "another-token-altogether")
    assert (stranger.status_code, stranger.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert proxied.send(jpeg("disc", 1), **{"X-Taxon-Source": "../etc"}).status_code == 400
    assert proxied.send(b"no picture").status_code == 415
    assert proxied.send(large * 2).status_code == 413

    rows = [row for row in taxon.export() if row["status"] != "rejected"]
    assert len(rows) == 2
    for row in rows:
        assert (row["source"], row["captured_at"]) == ("gate", "2026-11-25T09:30:12+00:00")
        assert row["uri"].endswith(f"{row['sha256']}-7.jpg")


def test_who_comes_while_another_is_served_is_told_through_a_proxy_when_to_come_again(proxied: Proxied) -> None:
    head = f"POST /ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 9\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxied.door)) as slow:
        slow.sendall(head.encode() + b"half")
        answer = proxied.send(jpeg("disc", 0))
        while answer.status_code == 201:  # the other one was not there yet
            answer = proxied.send(jpeg("disc", 0))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
