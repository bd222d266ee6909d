"""Checkpoints: tensors and JSON that are either whole or not there.

`NAME.json` is the checkpoint: it names the file of its tensors and that file's sha256, and is renamed into place
last, so a kill at any instruction leaves the one before untouched. Nothing is ever unpickled. It knows nothing of
what the tensors mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as decode_tensors
from safetensors.torch import save as encode_tensors
from torch import Tensor

LEARNER = "learner-"
"""Prefix of the names of the learner's own checkpoints."""
VERSION = "version-"
"""Prefix of the names of encoder versions' weights."""


def version_name(version: int) -> str:
    """Name of the checkpoint of an encoder version's weights."""
    return f"{VERSION}{version:06d}"


def learner_name(steps: int) -> str:
    """Name of the checkpoint of the whole learner after so many steps."""
    return f"{LEARNER}{steps:09d}"


class CheckpointError(Exception):
    """A checkpoint is missing or torn (exit code 3). One line with the remedy."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was saved. `tensors` are on the host."""

    name: str
    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def save(folder: Path, name: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
    """Writes `name` or leaves everything as it was; an older one of that name is replaced.

    Args:
        meta: JSON values.

    Returns:
        The path that `load` takes: `folder / name`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = encode_tensors({key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()})
    digest = hashlib.sha256(content).hexdigest()
    tensor_file = f"{name}.{digest[:12]}.safetensors"
    _write(folder / tensor_file, content)
    manifest = {"tensors": tensor_file, "sha256": digest, "meta": dict(meta)}
    manifest["check"] = _check(manifest)
    _write(folder / f"{name}.json", json.dumps(manifest).encode())
    for other in folder.glob(f"{name}.*.safetensors"):
        if other.name != tensor_file:
            other.unlink()
    return folder / name


def _check(manifest: Mapping[str, Any]) -> str:
    facts = [manifest["tensors"], manifest["sha256"], manifest["meta"]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path) -> Checkpoint:
    """What was saved as `path`.

    Raises:
        CheckpointError: missing or torn.
    """
    try:
        manifest = json.loads(path.with_name(f"{path.name}.json").read_bytes())
        content = path.with_name(manifest["tensors"]).read_bytes()
        whole = manifest["check"] == _check(manifest) and manifest["sha256"] == hashlib.sha256(content).hexdigest()
        if not whole:
            raise ValueError("checksum differs")
        return Checkpoint(path.name, decode_tensors(content), manifest["meta"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {path} is missing or torn ({error}); restore it from a backup") from error


def newest(folder: Path, prefix: str = "") -> Checkpoint | None:
    """The last by name that is whole, under its own name; None where there is none.

    Torn ones are skipped with a warning: names must sort by age.
    """
    for path in reversed(_saved(folder, prefix)):
        try:
            return load(path)
        except CheckpointError as error:
            warnings.warn(f"skipped: {error}", stacklevel=2)
    return None


def prune(folder: Path, prefix: str, keep: int, last: str) -> None:
    """Deletes all but the `keep` that end with `last` by name, and what a kill left half written.

    Args:
        last: the one that was just written. What comes after it by name is torn: it was gone back behind of.
    """
    names = [path.name for path in _saved(folder, prefix) if path.name <= last]
    keep_only(folder, prefix, set(names[-keep:]))


def keep_only(folder: Path, prefix: str, names: Collection[str]) -> None:
    """Deletes all but these, and what a kill left half written."""
    for path in _saved(folder, prefix):
        if path.name not in names:
            path.with_name(f"{path.name}.json").unlink()
    for tensors in folder.glob(f"{prefix}*.safetensors"):
        if tensors.name.split(".")[0] not in names:
            tensors.unlink()
    for part in folder.glob(f".{prefix}*.part"):
        part.unlink()


def _saved(folder: Path, prefix: str) -> list[Path]:
    return sorted(path.with_suffix("") for path in folder.glob(f"{prefix}*.json"))
