"""The doctor: what it finds, and that a finding comes with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent import doctor
from agent.config import CameraConfig, Config, PushConfig
from agent.doctor import FAIL, OK, WARN, Finding
from storage.engine import database_url, open_engine
from storage.migrate import migrate
from tests import cameras
from tests.cameras import free_port, silent
from tests.postgres import Server


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_a_healthy_place(tmp_path: Path) -> None:
    engine = open_engine(database_url(tmp_path))
    migrate(engine)
    engine.dispose()
    findings = doctor.examine(Config(), tmp_path, [tmp_path])
    assert not [finding for finding in findings if finding.verdict == FAIL]
    found = by_subject(findings)
    assert {"python", "torch", "device", "weights", "data", "data mount", "disk", "schema", "integrity"} <= set(found)
    assert found["integrity"].verdict == OK


def test_a_missing_folder_and_a_missing_device(tmp_path: Path) -> None:
    found = by_subject(doctor.examine(Config(device="cuda:99"), tmp_path, [tmp_path / "gone"]))
    assert found[f"watch {tmp_path / 'gone'}"].verdict == FAIL
    assert found["device"].verdict == FAIL


def test_nothing_is_made(tmp_path: Path) -> None:
    data = tmp_path / "a" / "b"
    found = by_subject(doctor.examine(Config(), data, []))
    assert found["data"].message == f"{data} will be made"
    assert found["database"].verdict == OK
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("watches", "instances", "verdicts"),
    [(1000, 128, [OK, OK]), (5, 128, [WARN, OK]), (2, 128, [FAIL, OK]), (1000, 1, [OK, WARN])],
)
def test_inotify_limits(tmp_path: Path, watches: int, instances: int, verdicts: list[str]) -> None:
    folder = tmp_path / "pictures"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
    limits = tmp_path / "limits"
    limits.mkdir()
    (limits / "max_user_watches").write_text(f"{watches}\n")
    (limits / "max_user_instances").write_text(f"{instances}\n")
    findings = list(doctor.inotify(folder, limits))
    assert [finding.verdict for finding in findings] == verdicts
    assert all(finding.remedy for finding in findings if finding.verdict != OK)
    assert list(doctor.inotify(folder, tmp_path / "nowhere")) == []


def test_mounts_that_are_silent_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "filesystem_of", lambda folder: "nfs4")
    found = by_subject(doctor.examine(Config(), tmp_path, [tmp_path]))
    assert found["data mount"].verdict == WARN
    assert "PostgreSQL" in found["data mount"].remedy
    assert found[f"watch {tmp_path}"].verdict == WARN
    elsewhere = Config.model_validate({"storage": {"url": "postgresql+psycopg://me@127.0.0.1:1/name"}})
    found = by_subject(doctor.examine(elsewhere, tmp_path, []))
    assert found["data mount"].verdict == OK
    assert "start the server" in found["database"].message


def test_an_empty_database_on_a_server_is_none_yet(server: Server) -> None:
    with server.database() as name:
        (found,) = doctor.database(server.url(name))
    assert (found.verdict, "`run` makes them" in found.message) == (OK, True)
    with server.lend() as url:
        (found,) = doctor.database(url)
    assert (found.subject, found.verdict) == ("schema", OK)


def test_cameras_are_reached_or_it_is_said_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    film = tmp_path / "film.mp4"
    film.touch()
    with cameras.Server(silent) as server:
        given = {
            "there": f"rtsp://me:secret@{server.host}/1", "away": f"rtsp://me:secret@127.0.0.1:{free_port()}/1",
            "film": str(film), "gone": str(tmp_path / "gone.mp4"), "unset": "rtsp://me:${NO_SUCH_VARIABLE}@cam/1",
        }  # fmt: skip
        config = CameraConfig(watch=tuple(f"{name}={url}" for name, url in given.items()))
        found = by_subject(list(doctor.cameras(config)))
    verdicts = {name: found[f"camera {name}"].verdict for name in given}
    assert verdicts == {"there": OK, "away": WARN, "film": OK, "gone": FAIL, "unset": FAIL}
    assert all(finding.remedy for finding in found.values() if finding.verdict != OK)
    assert "secret" not in str(found)


def test_receiving_needs_a_free_port_and_off_this_machine_a_token() -> None:
    assert not list(doctor.push(PushConfig()))
    with cameras.Server(silent) as server:
        (taken,) = doctor.push(PushConfig(listen=server.host))
    assert (taken.verdict, "use" in taken.message) == (WARN, True)
    listen = f"0.0.0.0:{free_port()}"
    found = by_subject(list(doctor.push(PushConfig(listen=listen))))
    assert {name: finding.verdict for name, finding in found.items()} == {"push token": FAIL, "push": OK}
    token = "a-token-for-the-tests"
    (free,) = doctor.push(PushConfig.model_validate({"listen": listen, "token": token}))
    assert (free.verdict, token in str(free)) == (OK, False)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert by_subject(list(doctor.data_directory(tmp_path, database_url(tmp_path))))["data"].verdict == FAIL


def test_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / "taxon.db").write_bytes(b"this is no database" * 100)
    assert by_subject(list(doctor.database(database_url(tmp_path))))["database"].verdict == FAIL


@pytest.mark.parametrize(("wanted", "verdict"), [("bundled", OK), ("none", OK), ("pretrained", WARN), ("/gone", FAIL)])
def test_weights(wanted: str, verdict: str) -> None:
    assert doctor.weights(wanted).verdict == verdict
