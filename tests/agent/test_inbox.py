from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from agent.frame import Origin, Rejected
from agent.inbox import LIVE_ROOM, Inbox

NEVER = threading.Event()


def item(uri: str) -> Rejected:
    return Rejected("", "test", Origin(uri, "here", datetime(2024, 5, 1, tzinfo=UTC)))


def stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def test_items_come_out_in_order_and_are_held_until_acknowledged() -> None:
    inbox = Inbox(8)
    items = [item(uri) for uri in "abc"]
    assert all(inbox.put(one, NEVER) for one in items)
    taken = inbox.take(2, timeout_s=0)
    assert taken == items[:2]
    assert inbox.depth == 3
    assert inbox.holds("a")
    inbox.acknowledge(taken)
    assert not inbox.holds("a")
    assert inbox.holds("c")
    assert inbox.depth == 1


def test_the_same_uri_twice_is_held_until_both_are_acknowledged() -> None:
    inbox = Inbox(8)
    first, second = item("a"), item("a")
    inbox.put(first, NEVER)
    inbox.put(second, NEVER)
    inbox.acknowledge([first])
    assert inbox.holds("a")
    inbox.acknowledge([second])
    assert not inbox.holds("a")


def test_what_is_not_held_cannot_be_acknowledged() -> None:
    with pytest.raises(ValueError, match="without being held: a"):
        Inbox(1).acknowledge([item("a")])


def test_who_cannot_wait_finds_a_little_room_beside_who_can() -> None:
    inbox = Inbox(1)
    inbox.put(item("a"), NEVER)
    assert [inbox.offer(item(str(i))) for i in range(LIVE_ROOM + 1)] == [True] * LIVE_ROOM + [False]
    assert not inbox.put(item("b"), stopped())
    assert inbox.depth == 1 + LIVE_ROOM


def test_put_blocks_until_an_acknowledgement_makes_room() -> None:
    inbox = Inbox(1)
    inbox.put(item("a"), NEVER)
    done = threading.Event()

    def put() -> None:
        inbox.put(item("b"), NEVER)
        done.set()

    thread = threading.Thread(target=put)
    thread.start()
    taken = inbox.take(5, timeout_s=0)
    assert not done.wait(0.15), "taking makes no room: the item is still in memory"
    inbox.acknowledge(taken)
    assert done.wait(2)
    thread.join()


def test_put_gives_up_when_stopped() -> None:
    inbox = Inbox(1)
    inbox.put(item("a"), NEVER)
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    assert not inbox.put(item("b"), stop)
    assert time.monotonic() - began < 1
    assert inbox.depth == 1
    assert not Inbox(1).put(item("a"), stopped())


def test_take_waits_for_the_first_item_only() -> None:
    inbox = Inbox(4)
    assert inbox.take(3, timeout_s=0.01) == []
    threading.Timer(0.05, inbox.put, (item("a"), NEVER)).start()
    assert len(inbox.take(3, timeout_s=5)) == 1


def test_join_waits_for_acknowledgement() -> None:
    inbox = Inbox(4)
    assert inbox.join(NEVER)
    inbox.put(item("a"), NEVER)
    assert not inbox.join(NEVER, timeout_s=0.05)
    assert not inbox.join(stopped())
    taken = inbox.take(1, 0)
    assert not inbox.join(NEVER, timeout_s=0.05), "taken is not stored"
    threading.Timer(0.05, inbox.acknowledge, (taken,)).start()
    assert inbox.join(NEVER, timeout_s=5)
