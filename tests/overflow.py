"""The kernel's word that its queue of file events was full, said to an observer."""

from __future__ import annotations

from watchdog.observers.api import BaseObserver


def overflow(observer: BaseObserver) -> None:
    """As if events had been lost just now."""
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor

    full = InotifyEvent(WatchDescriptor(-1), Mask(InotifyConstants.IN_Q_OVERFLOW), 0, b"")
    observer.reader.handle_event(full)  # type: ignore[attr-defined]
