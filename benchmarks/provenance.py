"""What a result was made with: commit, settings that differ from the defaults, device and threads.

It knows nothing of what is measured.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import torch
import yaml

from agent.config import Config
from agent.settings import effective_yaml

ROOT = Path(__file__).resolve().parent.parent
MEASURED = ("agent", "storage", "configs", "benchmarks", ":!benchmarks/results")
"""What decides a result; results themselves may lie about uncommitted."""


def made_with(config: Config, device: torch.device, root: Path = ROOT) -> dict[str, Any]:
    """As it is kept beside a result."""
    return {
        "commit": commit(root),
        "settings": changed(config),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


def changed(config: Config) -> dict[str, Any]:
    """Dotted key -> value, of every setting that is not at its default, wherever it was set; logins hidden."""
    defaults = _flat(Config())
    return {key: value for key, value in _flat(config).items() if value != defaults[key]}


def _flat(config: Config) -> dict[str, Any]:
    tree = yaml.safe_load(effective_yaml(config, comments=False))
    found: dict[str, Any] = {}
    waiting = [("", tree)]
    while waiting:
        prefix, section = waiting.pop()
        for name, value in section.items():
            if isinstance(value, dict):
                waiting.append((f"{prefix}{name}.", value))
            else:
                found[f"{prefix}{name}"] = value
    return dict(sorted(found.items()))


def commit(root: Path = ROOT) -> str | None:
    """Short name of the commit, `+` behind it where the code has been changed since; None without git or history."""
    name = _git(root, "rev-parse", "--short", "HEAD")
    if not name:
        return None
    return name + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no", "--", *MEASURED) else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
