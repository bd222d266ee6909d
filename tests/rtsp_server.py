"""A real RTSP server, GStreamer's, that shows a film again and again. Run by the system's Python, which has `gi`.

    /usr/bin/python3 tests/rtsp_server.py PORT FILM [PATH]

Prints `ready` when it listens. It imports nothing of Taxon.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

TIMES = 6
"""Each more makes the server slower to answer its first visitor, because all of them are opened then."""


def main(port: str, film: str, path: str = "/film") -> None:
    Gst.init(None)
    again = " ".join(f'filesrc location="{film}" ! qtdemux ! queue ! joined.' for _ in range(TIMES))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( concat name=joined ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 {again} )")
    factory.set_shared(False)  # each visitor begins with a key frame; the next one may be 20 s away
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        raise SystemExit(f"cannot listen on port {port}")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
