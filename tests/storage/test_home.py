"""A data directory that is moved takes the places of its files along."""

from __future__ import annotations

from sqlalchemy import Engine, select

from storage import counters
from storage.home import HOME
from storage.queries import Queries
from storage.schema import locations, rejections
from storage.store import Store
from tests.factories import picture, rejection, sha

FOLDERS = ("frames", "pushed")
OLD = ("/old/frames/door/1.jpg#frame=1", "/old/pushed/3f/2.jpg", "/older/frames/door/3.jpg", "/old/mine/frames/4.jpg")
NEW = ("/n%w/frames/door/1.jpg#frame=1", "/n%w/pushed/3f/2.jpg", *OLD[2:])


def places(queries: Queries) -> list[str]:
    return [place for number in range(len(OLD)) for place in queries.places([sha(number)])]


def test_places_of_ours_follow_and_others_stay(store: Store, queries: Queries, engine: Engine) -> None:
    assert store.settle("/old", FOLDERS) == 0
    store.add([picture(n, uri) for n, uri in enumerate(OLD)], rejections=[rejection("/old/frames/door/5.jpg")])
    assert store.settle("/old", FOLDERS) == 0
    assert places(queries) == list(OLD)
    assert store.settle("/n%w", FOLDERS) == 3  # the rejection is one
    assert places(queries) == list(NEW)
    with engine.connect() as connection:
        assert connection.execute(select(rejections.c.uri)).scalars().all() == ["/n%w/frames/door/5.jpg"]
    assert queries.state(HOME) == "/n%w"
    assert store.settle("/old", FOLDERS) == 3
    assert places(queries) == list(OLD)


def test_a_database_that_does_not_know_where_it_lay_learns_it(store: Store, queries: Queries) -> None:
    store.add([picture(0, OLD[0])])
    assert store.settle("/elsewhere", FOLDERS) == 0
    assert queries.places([sha(0)]) == [OLD[0]]
    assert queries.state(HOME) == "/elsewhere"


def test_a_place_where_a_row_lies_already_is_taken_over(store: Store, queries: Queries, engine: Engine) -> None:
    """A directory that went there and back before its place was written down has both in its rows."""
    there, back = "/there/frames/1.jpg", "/back/frames/1.jpg"
    bad = "/there/frames/2.jpg", "/back/frames/2.jpg"
    store.add([picture(0, there), picture(1, back)], rejections=[rejection(uri) for uri in bad])
    store.settle("/back", FOLDERS)
    assert store.settle("/there", FOLDERS) == 2
    assert queries.places([sha(0)]) == queries.places([sha(1)]) == [there]
    with engine.connect() as connection:
        present = select(locations.c.picture_id).where(locations.c.uri == there, locations.c.missing_at.is_(None))
        assert connection.execute(present).scalars().all() == list(queries.existing([sha(1)]).values())
        assert connection.execute(select(rejections.c.uri)).scalars().all() == [bad[0]]
        assert counters.read(connection)["rejected"] == counters.recount(connection)["rejected"] == 1
