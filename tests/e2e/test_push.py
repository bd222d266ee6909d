"""Receiving pictures as its users meet it: the real command, and a program that sends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cameras import free_port
from tests.e2e.conftest import Taxon
from tests.pictures import jpeg
from tests.senders import Sender

TOKEN = "s3cr3t-of-the-tests"
OFF = ("--set", "learner.views_per_picture=0")


def test_what_is_sent_becomes_kinds_and_survives_a_kill(taxon: Taxon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXON_PUSH__TOKEN", TOKEN)
    port = free_port()
    sender, stranger = Sender(port, "gate", TOKEN), Sender(port, "gate")
    process = start(taxon, port)
    pictures = [jpeg("disc", seed) for seed in range(12)]
    answers = [sender.send(data, X_Taxon_Name=f"{number}.jpg") for number, data in enumerate(pictures[:8])]
    assert [answer.status_code for answer in answers] == [201] * 8
    process.kill()  # whoever got an answer may delete the picture
    process.wait(30)
    rows = {row["sha256"]: row for row in taxon.export()}
    assert rows.keys() == {answer.json()["sha256"] for answer in answers}
    process = start(taxon, port)
    assert [sender.send(data).status_code for data in pictures] == [200] * 8 + [201] * 4
    assert sender.send(b"no picture").status_code == 415
    assert stranger.send(pictures[0]).status_code == 401
    taxon.wait_for(lambda: counts(taxon) == {"repeated": 8, "stored": 4, "rejected": 1, "unauthorised": 1})
    taxon.call("recluster")
    taxon.wait_for(lambda: not any(row["status"] == "pending" for row in taxon.export()))
    assert taxon.stop(process) == 0
    exported = taxon.export()
    assert sorted(row["status"] == "rejected" for row in exported) == [False] * 12 + [True]
    assert {row["source"] for row in exported} == {"gate"}
    assert all(Path(row["uri"]).is_relative_to(taxon.data / "pushed") for row in exported)
    assert all(Path(row["uri"]).is_file() for row in exported)
    written = b"".join(path.read_bytes() for path in taxon.data.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written + taxon.log.read_bytes()


def start(taxon: Taxon, port: int) -> subprocess.Popen[bytes]:
    process = taxon.start_bare("run", "--push", f"127.0.0.1:{port}", *OFF)
    taxon.wait_for(lambda: healthy(port))
    return process


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def counts(taxon: Taxon) -> dict[str, int]:
    (source,) = taxon.json("status")["sources"]
    found: dict[str, int] = source["counts"]
    return found


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--push", "127.0.0.1:8080", "--once"), "leave out --once"),
        (("--push", "0.0.0.0:8080"), "TAXON_PUSH__TOKEN"),
        (("--push", "nowhere"), "HOST:PORT"),
        ((), "--push HOST:PORT"),
    ],
)
def test_what_cannot_work_is_said_at_once(taxon: Taxon, arguments: tuple[str, ...], hint: str) -> None:
    done = taxon.call("run", *arguments, check=False)
    assert (done.returncode, hint in done.stderr, len(done.stderr.splitlines())) == (2, True, 1)
    assert not taxon.data.exists()
