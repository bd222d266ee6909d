"""Pictures that are not stored yet, embedded for a verb that needs it; a process of its own, because it imports torch.

    {"data": DIR, "paths": [FILE, ...], "store": BOOL}      JSON on stdin
    {"pictures": [...]} or {"error": LINE, "exit_code": N}  JSON on stdout

Decoding, thumbnail, network and weights are the agent's own, so the vectors are those that the agent would store. With
`store` they go into the store through the door by which arrivals come (`agent.embed_worker`). It knows no verb;
`agent.commands.newcomers` is the other end.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.birth import as_born
from agent.checkpoint import CheckpointError
from agent.config import Config
from agent.cores import share_cores
from agent.decode import DecodePool
from agent.frame import Frame, Rejected
from agent.settings import EFFECTIVE, load_config
from storage.engine import database_url, open_engine
from storage.errors import Refused
from storage.queries import BORN, Queries
from storage.records import Vectors
from storage.store import Store
from storage.vectors import to_bytes

ELSEWHERE = "taught"
"""Source of pictures that were shown to the agent and lie in no watched folder."""
PATIENCE_S = 10.0
POLL_S = 0.5


def main() -> int:
    """Answer the one request on stdin; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    share_cores()
    request = json.load(sys.stdin)
    try:
        answer = _answer(Path(request["data"]), [Path(path) for path in request["paths"]], bool(request["store"]))
    except Exception as error:
        code = getattr(error, "exit_code", None)
        if not isinstance(code, int):
            raise
        answer = {"error": str(error), "exit_code": code}
    json.dump(answer, answers)
    answers.close()
    return 0


def _answer(data: Path, paths: Sequence[Path], store: bool) -> dict[str, Any]:
    config = load_config(data / EFFECTIVE if (data / EFFECTIVE).is_file() else None)
    frames = decoded(paths, config)
    engine = open_engine(database_url(data), read_only=not store)
    try:
        shown = Newcomers(config, data, Queries(engine))
        if store:
            shown.keep(frames, Store(engine))
        return {"pictures": shown.described(frames)}
    finally:
        engine.dispose()


def decoded(paths: Sequence[Path], config: Config) -> list[Frame]:
    """The pictures of these files, by the killable workers that arrivals are decoded by.

    Raises:
        Refused: one of them is no picture.
    """
    with closing(DecodePool(config.decode, least_px=config.encoder.image_px)) as pool:
        futures = [pool.submit(path, source_of(path, config)) for path in paths]
        items = [item for future in futures for item in future.result()]
    for path, item in zip(paths, items, strict=True):
        if isinstance(item, Rejected):
            raise Refused(f"{path}: {item.reason}; give a picture that can be decoded")
    return [item for item in items if isinstance(item, Frame)]


def source_of(path: Path, config: Config) -> str:
    """The watched folder that the file lies in, so that it is told when it goes; else `ELSEWHERE`."""
    roots = [folder.resolve() for folder in config.folder.watch]
    return next((str(root) for root in roots if path.is_relative_to(root)), ELSEWHERE)


class Newcomers:
    """The published network, for pictures that somebody shows."""

    def __init__(self, config: Config, data: Path, queries: Queries) -> None:
        from agent.device import resolve_device
        from agent.embedder import Embedder
        from agent.encoder import build_encoder
        from agent.published import published_tails

        device = resolve_device(config.device)
        # the network whose vectors are stored, whatever the environment says by now
        self._encoder = build_encoder(*as_born(config, queries.version(BORN).config)).to(device)
        self._checkpoints = data / "checkpoints"
        self._queries = queries
        self._machine = config.ingest_as
        self._tails = published_tails(self._encoder, queries, self._checkpoints)
        self._embedder = Embedder(self._encoder, self._tails, device)

    @property
    def version(self) -> int:
        """The version under which they are embedded."""
        return max(self._tails, default=BORN)

    def described(self, frames: Sequence[Frame]) -> list[Mapping[str, object]]:
        """Content hash, version and vectors of each."""
        innate_ND, learned = self._embedder.embed([frame.pixels_HWC for frame in frames])
        learned_ND = learned.get(self.version)
        return [
            {
                "sha256": frame.sha256,
                "version": self.version,
                "innate": _text(innate_ND[i]),
                "learned": None if learned_ND is None else _text(learned_ND[i]),
            }
            for i, frame in enumerate(frames)
        ]

    def keep(self, frames: Sequence[Frame], store: Store) -> None:
        """Store them as arrivals are stored, and under a version that is being built meanwhile.

        Raises:
            Refused: people have had one of them forgotten.
        """
        from agent.embed_worker import EmbedWorker
        from agent.inbox import Inbox

        inbox = Inbox(len(frames))
        worker = EmbedWorker(inbox, self._embedder, store, self._queries, batch=len(frames), machine=self._machine)
        for frame in frames:
            inbox.put(frame, threading.Event())
        worker.see(inbox.take(len(frames), timeout_s=0))
        ids = self._queries.existing([frame.sha256 for frame in frames])
        for frame in frames:
            if frame.sha256 not in ids:
                raise Refused(f"{frame.origin.uri}: people have had this picture forgotten, so it stays out")
        self._keep_up(frames, [ids[frame.sha256] for frame in frames], store)

    def _keep_up(self, frames: Sequence[Frame], ids: Sequence[int], store: Store) -> None:
        """The agent embeds its window under a new version, and does not know of these."""
        for version in {self._queries.ready_version(), self._queries.building_version() or BORN} - {BORN}:
            if len(self._queries.unembedded(version, ids)):
                self._embedder.add_tail(version, self._tail_when_written(version))
                _, learned = self._embedder.embed([frame.pixels_HWC for frame in frames])
                store.add_embeddings(version, ids, learned[version])

    def _tail_when_written(self, version: int) -> Any:
        """The tail of a version, whose row comes before its checkpoint."""
        from agent.published import tail_of

        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return tail_of(version, self._encoder, self._checkpoints)
            except CheckpointError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_S)


def _text(vector_D: Vectors) -> str:
    return base64.b64encode(to_bytes(vector_D)).decode("ascii")


if __name__ == "__main__":
    sys.exit(main())
