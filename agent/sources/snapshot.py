"""A camera that gives one picture at a time by HTTP, asked again and again.

What has not changed is not sent (ETag, Last-Modified), what is too large is not read, and the answer has a time limit
as a whole, not only between its bytes. The bytes come from a stranger: this runs in a process that may be killed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.address import Address
from agent.config import DecodeConfig, SnapshotConfig
from agent.decode import Undecodable, decode_whole
from agent.sources.feed import FeedError, Shot

REMEMBERED = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
PLAIN = {"Accept-Encoding": "identity"}
"""Pictures are packed already, and of an answer that is packed twice 3 KB become gigabytes before anybody can look."""
NOT_MODIFIED = 304
UNAUTHORISED = 401
BROKEN_IN_A_ROW = 3
"""So many answers that are no pictures, one after the other, and the camera counts as away."""


class SnapshotFeed:
    """One camera's stills.

    Args:
        decode: what is taken for a picture, for cameras as for files.
        once: ask once.
        clock: monotonic seconds.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        address: Address,
        config: SnapshotConfig,
        decode: DecodeConfig,
        *,
        once: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = httpx.URL(address.full_url())
        self._config = config
        self._decode = decode
        self._once = once
        self._clock = clock
        self._sleep = sleep
        self._auth: httpx.Auth | None = None
        self._conditions: dict[str, str] = {}
        self._fault = ""
        self.counts: dict[str, int] = Counter()

    def shots(self) -> Iterator[Shot | None]:
        """See `agent.sources.feed.Feed`."""
        broken = 0
        bare = self._url.copy_with(userinfo=b"")
        with httpx.Client(timeout=self._config.timeout_s, follow_redirects=True) as client:
            while True:
                asked_s = self._clock()
                data = self._ask(client, bare)
                shot = None if data is None else self._shot(data)
                broken = broken + 1 if data is not None and shot is None else 0
                if broken == BROKEN_IN_A_ROW or (broken and self._once):
                    raise FeedError(f"what it answers is no picture: {self._fault}")
                if not broken:
                    yield shot
                if self._once:
                    return
                self._sleep(max(0.0, self._config.every_s - (self._clock() - asked_s)))

    def _ask(self, client: httpx.Client, url: httpx.URL) -> bytes | None:
        """The answer's body; None when it is what it was before."""
        try:
            data, challenge = self._get(client, url)
            if challenge is not None and self._auth is None:
                self._auth = self._answer_to(challenge)
                data, challenge = self._get(client, url)
            if challenge is not None:
                raise FeedError("it wants another user or password (401)")
            return data
        except httpx.TimeoutException:
            raise FeedError("no answer in time") from None
        except httpx.HTTPError as error:
            raise FeedError(f"no answer: {type(error).__name__}") from None

    def _get(self, client: httpx.Client, url: httpx.URL) -> tuple[bytes | None, str | None]:
        """One request: the body, if it is new; and what the server wants to be told, if it asks who we are."""
        until_s = self._clock() + self._config.timeout_s
        auth = self._auth or httpx.Auth()
        with client.stream("GET", url, headers=PLAIN | self._conditions, auth=auth) as answer:
            if answer.status_code == UNAUTHORISED:
                return None, answer.headers.get("WWW-Authenticate", "")
            if answer.status_code == NOT_MODIFIED:
                self.counts["unchanged"] += 1
                return None, None
            if not answer.is_success:
                raise FeedError(f"it answers {answer.status_code} {answer.reason_phrase}".rstrip())
            body = bytearray()
            for part in answer.iter_raw():
                body += part
                if len(body) > self._config.max_mb << 20:
                    raise FeedError(f"its answer is larger than camera.snapshot.max_mb ({self._config.max_mb} MB)")
                if self._clock() > until_s:
                    raise FeedError("no whole answer in time")
            self._conditions = {ask: answer.headers[told] for told, ask in REMEMBERED.items() if told in answer.headers}
            return bytes(body), None

    def _answer_to(self, challenge: str) -> httpx.Auth:
        login = (self._url.username, self._url.password)
        return httpx.DigestAuth(*login) if challenge.lower().startswith("digest") else httpx.BasicAuth(*login)

    def _shot(self, data: bytes) -> Shot | None:
        # Another thread decodes what is kept. Both set the same pixel limit, and the size is checked again whatever
        # becomes of warnings.
        try:
            upright = decode_whole(data, self._decode)
        except Undecodable as error:  # a broken picture is one picture less
            self._fault = str(error)
            self.counts["broken"] += 1
            return None
        return Shot(self._clock(), None, partial(_grey, upright), partial(np.array, upright))


def _grey(image: Image.Image, long_side_px: int) -> NDArray[np.uint8]:
    scale = long_side_px / max(image.size)
    width, height = (max(2, round(side * scale)) for side in image.size)
    return np.array(image.convert("L").resize((width, height), Image.Resampling.BOX), dtype=np.uint8)
