"""The seeing thread: frames from the inbox are embedded and stored; one transaction is the acknowledgement.

The same thread builds a new encoder version in the gaps between arriving frames, since seeing has precedence, embeds
what others stored, and what lies beyond the window when it has nothing else to do. It knows nothing about training or
kinds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray
from torch import nn

from agent.catch_up import CatchUp
from agent.embedder import Embedder
from agent.frame import Frame, Origin, Rejected
from agent.inbox import Inbox
from agent.others import Others
from agent.patience import Patience
from agent.thumbnail import pixels_of
from agent.uri import on_machine
from storage.queries import Queries
from storage.records import LocationRecord, PictureRecord, RejectionRecord, Vectors
from storage.store import Store

log = structlog.get_logger(__name__)


class EmbedWorker:
    """Turns frames into stored pictures, and thumbnails into embeddings of a new version.

    Only this thread touches the embedder. `build` may be called from any thread; it hands over a version to be
    built and returns at once, and `building` says whether that is still going on.

    Args:
        batch: pictures embedded at a time.
        archive_share: of the time that pictures beyond the window may take; 0 leaves them as they are.
        machine: whose files these are, where this worker only takes pictures in; vectors of versions are for another.
    """

    def __init__(
        self,
        inbox: Inbox,
        embedder: Embedder,
        store: Store,
        queries: Queries,
        *,
        batch: int,
        archive_share: float = 0.0,
        machine: str = "",
    ) -> None:
        self._inbox = inbox
        self._embedder = embedder
        self._store = store
        self._queries = queries
        self._batch = batch
        self._machine = machine
        self._catch_up = CatchUp(queries, self._embed_again, batch=batch, share=archive_share)
        self._others = Others(queries, self._embed_again, batch=batch)
        self._lock = threading.Lock()
        self._order: tuple[int, nn.Module, NDArray[np.int64]] | None = None
        self._version: int | None = None
        self._todo: list[NDArray[np.int64]] = []
        self.beat = time.monotonic()
        self.stored = 0

    # ---------------------------------------------------------------- the thread

    def run(self, stop: threading.Event) -> None:
        """Loop until `stop`; what is left in the inbox is found again by the next scan."""
        if not self._machine:
            self._persist(lambda: self._follow(self._queries.ready_version()), stop)
        while not stop.is_set():
            self.beat = time.monotonic()
            waits = self.building or self._others.due or self._catch_up.due
            items = self._inbox.take(self._batch, timeout_s=0.0 if waits else 0.2)
            if items:
                self._persist(partial(self.see, items), stop)
            if self._others.due:
                self._persist(self._others.step, stop)
            if self.building:
                self._persist(self.build_some, stop)
            elif not items and self._catch_up.due:
                self._persist(self._catch_up.step, stop)

    def _follow(self, version: int) -> None:
        """This version is the ready one now."""
        self._others.begin(version)
        self._catch_up.begin(version)

    def _persist(self, write: Callable[[], None], stop: threading.Event) -> None:
        """Repeat a write until the storage takes it: a full disk delays pictures, it does not lose them."""
        patience = Patience(stop.wait)
        while not patience.attempt(write) and not stop.is_set():
            pass

    # ---------------------------------------------------------------- seeing

    def see(self, items: Sequence[Frame | Rejected]) -> None:
        """Embed what is new, store everything in one transaction, acknowledge."""
        frames = [item for item in items if isinstance(item, Frame)]
        known = self._queries.existing([frame.sha256 for frame in frames])
        fresh = list({frame.sha256: frame for frame in frames if frame.sha256 not in known}.values())
        first = {id(frame) for frame in fresh}
        self._store.add(
            self._records(fresh),
            repeats=[(frame.sha256, self._location(frame.origin)) for frame in frames if id(frame) not in first],
            rejections=[self._rejection(item) for item in items if isinstance(item, Rejected)],
        )
        self.stored += len(fresh)
        self._inbox.acknowledge(items)

    def _records(self, frames: Sequence[Frame]) -> list[PictureRecord]:
        innate_ND, learned = self._embedder.embed([frame.pixels_HWC for frame in frames])
        return [
            PictureRecord(
                sha256=frame.sha256,
                captured_at=frame.origin.captured_at,
                width_px=frame.width_px,
                height_px=frame.height_px,
                thumbnail=frame.thumbnail,
                innate_D=innate_ND[i],
                learned_D={version: vectors_ND[i] for version, vectors_ND in learned.items()},
                location=self._location(frame.origin),
            )
            for i, frame in enumerate(frames)
        ]

    def _location(self, origin: Origin) -> LocationRecord:
        uri, source = (on_machine(self._machine, name) for name in (origin.uri, origin.source))
        if origin.stat is None:
            return LocationRecord(uri, source)
        return LocationRecord(uri, source, origin.stat.size_bytes, origin.stat.mtime_ns)

    def _rejection(self, item: Rejected) -> RejectionRecord:
        return RejectionRecord(
            self._location(item.origin), item.sha256, item.origin.captured_at, item.reason, item.fatal
        )

    # ---------------------------------------------------------------- a new version

    @property
    def building(self) -> bool:
        return self._order is not None or self._version is not None  # in this order: one becomes the other

    @property
    def behind(self) -> bool:
        """Whether pictures that others stored wait for vectors of the ready version."""
        return self._queries.embedded_through(self._queries.ready_version()) < self._queries.last_picture_id()

    def build(self, version: int, tail: nn.Module, window_N: NDArray[np.int64]) -> None:
        """Embed the window's pictures under `version`, whose row is `building`, then publish it.

        Args:
            tail: this thread's own copy of the teacher; nobody else may change it.
            window_N: picture ids, oldest first.

        Raises:
            RuntimeError: another version is being built.
        """
        with self._lock:
            if self.building:
                raise RuntimeError("another encoder version is being built")
            self._order = (version, tail, window_N)

    def build_some(self) -> None:
        """Do one batch of the building; the last one publishes the version."""
        if self._version is None:
            self._begin()
        assert self._version is not None
        if self._todo:
            self._embed_again(self._version, self._todo[-1])
            self._todo.pop()  # not before: what could not be written is done again
            return
        if self._queries.ready_version() != self._version:  # an attempt before this one may have got so far
            self._store.publish_version(self._version)
        self._embedder.keep_only(self._version)
        self._follow(self._version)
        log.info("encoder version published", version=self._version)
        self._version = None

    def _begin(self) -> None:
        with self._lock:
            assert self._order is not None
            version, tail, window_N = self._order
            self._embedder.add_tail(version, tail)
            missing_N = self._missing(version, window_N)
            self._todo = np.array_split(missing_N, max(1, -(-len(missing_N) // self._batch)))[::-1]
            self._version, self._order = version, None

    def _missing(self, version: int, window_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pictures of the window, and those stored since it was chosen, that have no vector under the version."""
        missing, last = [self._queries.unembedded(version, window_N)], -1
        through = int(window_N.max(initial=0))
        while through != last:
            last = through
            later_N, through = self._queries.lacking(version, last)
            missing.append(later_N)
        return np.concatenate(missing)

    def _embed_again(self, version: int, ids_N: NDArray[np.int64]) -> None:
        thumbnails = self._queries.thumbnails(ids_N.tolist())
        ids = [int(i) for i in ids_N if int(i) in thumbnails]
        if not ids:
            return
        _, learned = self._embedder.embed([pixels_of(thumbnails[i], self._embedder.image_px) for i in ids])
        vectors_ND: Vectors = learned[version]
        self._store.add_embeddings(version, ids, vectors_ND)
