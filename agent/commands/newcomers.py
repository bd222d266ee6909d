"""Pictures that are not stored yet: embedded, and stored if that is wanted, by a process that loads the network.

Only then does anybody pay for torch. Here is the end of the verbs; the other one is `agent.newcomers`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.records import Vectors

MODULE = "agent.newcomers"


class NewcomerError(Exception):
    """A picture could not be embedded; one line, and the exit code of what went wrong."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A picture that was shown; `learned_D` is None at version 1."""

    sha256: str
    version: int
    innate_D: Vectors
    learned_D: Vectors | None


def embedded(data: Path, paths: Sequence[Path], *, store: bool = False) -> list[Newcomer]:
    """The pictures of these files, embedded as the agent embeds them; with `store` they are stored, too.

    Raises:
        NewcomerError: a file is no picture, the network cannot be had, or the process died.
    """
    request = {"data": str(data), "paths": [str(located(path)) for path in paths], "store": store}
    done = subprocess.run(
        [sys.executable, "-P", "-m", MODULE],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # a terminal's Ctrl-C reaches this end only, which kills the other one
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    if done.returncode != 0:
        raise NewcomerError(
            f"the process that embeds new pictures ended with {done.returncode}; its error stands above"
        )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise NewcomerError(answer["error"], answer["exit_code"])
    return [_newcomer(one) for one in answer["pictures"]]


def located(path: Path) -> Path:
    """The absolute path by which a source would name the file."""
    return path.parent.resolve() / path.name


def _newcomer(one: dict[str, Any]) -> Newcomer:
    from storage.vectors import from_bytes

    innate_D, learned_D = (None if one[key] is None else base64.b64decode(one[key]) for key in ("innate", "learned"))
    assert innate_D is not None
    return Newcomer(
        one["sha256"], one["version"], from_bytes(innate_D), None if learned_D is None else from_bytes(learned_D)
    )
