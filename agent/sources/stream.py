"""A video stream, device or file by PyAV: every packet is decoded, so that the newest picture is always at hand.

A call into the library may hang for all its timeouts (PyAV#1155), so this runs in a process that may be killed.
It knows nothing about sampling, gates or disks.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from agent.address import Address
from agent.config import CameraConfig
from agent.sources.feed import FeedError, Shot

NETWORK = "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,rtmp,rtmps,srt,crypto,hls"
"""Protocols a stream may use: a playlist that points at this machine's files is refused."""

USUAL_FPS = 25
NO_ANSWER = "no answer in time"
OF_FILES = {"protocol_whitelist": "file,crypto"}


class StreamFeed:
    """One camera's pictures.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, address: Address, config: CameraConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._config = config
        self._clock = clock
        self.counts: dict[str, int] = Counter()

    def shots(self) -> Iterator[Shot | None]:
        """See `agent.sources.feed.Feed`."""
        av.logging.set_level(None)  # the library's own lines hold URLs
        began_s, opened = self._clock(), False
        try:
            with self._open() as container:
                opened = True
                video = next(iter(container.streams.video), None)
                if video is None:
                    raise FeedError("there is no video in it")
                video.thread_count = 1
                rate = float(video.average_rate or USUAL_FPS)
                for number, frame in enumerate(self._frames(container, video)):
                    yield self._shot(frame, _seconds(frame, video), number / rate)
        except av.FFmpegError as error:
            # cut off while it waits, the library may call nothing at all invalid data
            late = not opened and self._clock() - began_s >= self._config.open_timeout_s
            raise FeedError(NO_ANSWER if late else _reason(error)) from None

    def _open(self) -> InputContainer:
        timeouts = (self._config.open_timeout_s, self._config.read_timeout_s)
        url = self._address.full_url()
        if self._address.kind == "file":
            return av.open(f"file:{url}", options=OF_FILES)
        if self._address.kind == "device":
            return av.open(url, format="v4l2", timeout=timeouts)
        options = {"protocol_whitelist": NETWORK}
        if url.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        return av.open(url, options=options, timeout=timeouts)

    def _frames(self, container: InputContainer, video: VideoStream) -> Iterator[VideoFrame]:
        """What can be decoded; packets that are broken cost themselves only."""
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                self.counts["broken"] += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.counts["broken"] += 1
                elif isinstance(frame, VideoFrame):
                    yield frame

    def _shot(self, frame: VideoFrame, stream_s: float | None, counted_s: float) -> Shot:
        own_s = counted_s if stream_s is None else stream_s
        at_s = own_s if self._address.finite else self._clock()
        return Shot(at_s, stream_s, partial(_grey, frame), partial(_rgb, frame))


def duration_s(address: Address) -> float:
    """How long a film is; 0 where it does not say."""
    try:
        with av.open(f"file:{address.url}", options=OF_FILES) as container:
            return (container.duration or 0) / av.time_base
    except av.FFmpegError as error:
        raise FeedError(_reason(error)) from None


def _seconds(frame: VideoFrame, video: VideoStream) -> float | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return float((frame.pts - (video.start_time or 0)) * frame.time_base)


def _grey(frame: VideoFrame, long_side_px: int) -> NDArray[np.uint8]:
    scale = long_side_px / max(frame.width, frame.height)
    width, height = (max(2, round(side * scale)) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="gray", interpolation="AREA")
    return cast("NDArray[np.uint8]", small.to_ndarray())


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))


def _reason(error: av.FFmpegError) -> str:
    """The library's words without the URL that it puts behind them."""
    if isinstance(error, av.error.ExitError):
        return NO_ANSWER
    if isinstance(error, av.error.EOFError):
        return "the stream has ended"
    return (error.strerror or type(error).__name__).lower()
