"""Arrivals, states and steps: once per content, whatever happens to the files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy.exc import StatementError

from storage import store as store_module
from storage.queries import Queries
from storage.records import Event, EventType, StepRecord
from storage.store import Store
from tests.factories import Clock, location, picture, pictures, rejection, sha


def places(queries: Queries) -> dict[str, str]:
    return {row.uri: row.sha256 for row in queries.export_rows()}


def test_pictures_come_back_in_the_order_of_their_ids(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(5)))
    assert ids == sorted(ids)
    stored = queries.pictures_after(ids[1], 2)
    assert [one.id for one in stored] == ids[2:4]
    assert stored[0].sha256 == sha(2)
    assert stored[0].thumbnail == picture(2).thumbnail
    np.testing.assert_array_equal(stored[0].innate_D, picture(2).innate_D)
    assert (stored[0].captured_at, stored[0].place) == (picture(2).captured_at, picture(2).location)
    assert queries.last_picture_id() == ids[-1]
    assert queries.count_after(ids[2]) == 2


def test_nothing_is_stored_twice(store: Store, queries: Queries) -> None:
    first = store.add([picture(1), picture(2)])
    again = store.add([picture(3), picture(2), picture(3, uri="/copy.jpg")])
    assert again[1] == first[1]
    assert again[0] == again[2]
    assert queries.status().pictures == 3
    assert places(queries) == {
        "/pictures/1.jpg": sha(1), "/pictures/2.jpg": sha(2), "/pictures/3.jpg": sha(3), "/copy.jpg": sha(3)
    }  # fmt: skip


def test_repeat_adds_a_place(store: Store, queries: Queries) -> None:
    store.add([picture(1)])
    store.add([picture(2)], repeats=[(sha(1), location("/b.jpg")), (sha(2), location("/c.jpg"))])
    assert places(queries)["/b.jpg"] == sha(1)
    assert places(queries)["/c.jpg"] == sha(2)


def test_unknown_repeat_is_left_to_the_next_scan(store: Store, queries: Queries) -> None:
    store.add([], repeats=[(sha(9), location("/b.jpg"))])
    assert queries.known(["/b.jpg"]) == {}


def test_renamed_file_is_the_same_picture(store: Store, queries: Queries) -> None:
    (first,) = store.add([picture(1, uri="/old.jpg")])
    (second,) = store.add([picture(1, uri="/new.jpg")])
    store.mark_missing(["/old.jpg"])
    assert first == second
    assert places(queries) == {"/new.jpg": sha(1)}


def test_file_edited_in_place_is_another_picture(store: Store, queries: Queries, clock: Clock) -> None:
    store.add([picture(1, uri="/a.jpg")])
    before = clock.now
    clock.tick()
    store.add([picture(2, uri="/a.jpg")])
    assert places(queries) == {"/a.jpg": sha(2)}
    assert queries.status().pictures == 2
    assert [row.sha256 for row in queries.export_rows(as_of=before)] == [sha(1)]


def test_two_contents_at_one_place_in_one_batch(store: Store, queries: Queries) -> None:
    store.add([picture(1, uri="/a.jpg"), picture(2, uri="/a.jpg")])
    assert places(queries) == {"/a.jpg": sha(2)}
    assert queries.status().pictures == 2


def test_touched_file_is_known_by_its_new_stat(store: Store, queries: Queries) -> None:
    store.add([picture(1, uri="/a.jpg")])
    store.add([], repeats=[(sha(1), location("/a.jpg", size_bytes=10, mtime_ns=77))])
    assert queries.known(["/a.jpg", "/b.jpg"]) == {"/a.jpg": (10, 77)}
    assert len(list(queries.export_rows())) == 1


def test_file_that_came_back_is_present_again(store: Store, queries: Queries) -> None:
    store.add([picture(1, uri="/a.jpg")])
    store.mark_missing(["/a.jpg"])
    assert places(queries) == {}
    store.add([picture(1, uri="/a.jpg")])
    assert places(queries) == {"/a.jpg": sha(1)}
    assert queries.status().pictures == 1


def test_rejection_is_replaced_by_a_picture(store: Store, queries: Queries) -> None:
    store.add([], rejections=[rejection("/a.jpg", sha(5))])
    assert [(row.status, row.sha256) for row in queries.export_rows()] == [("rejected", sha(5))]
    assert queries.known(["/a.jpg"]) == {"/a.jpg": (10, 1)}
    store.add([picture(1, uri="/a.jpg")])
    assert queries.status().rejected == 0
    assert places(queries) == {"/a.jpg": sha(1)}


def test_picture_is_replaced_by_a_rejection(store: Store, queries: Queries) -> None:
    store.add([picture(1, uri="/a.jpg")])
    store.add([], rejections=[rejection("/a.jpg")])
    assert [(row.status, row.sha256) for row in queries.export_rows()] == [("rejected", "")]
    assert (queries.status().pictures, queries.status().rejected) == (1, 1)


def test_no_path_and_no_reason_is_too_odd(store: Store, queries: Queries) -> None:
    long = "".join(sha(n) for n in range(64))  # 4,096 characters: no path is longer
    store.add([picture(1, uri=f"/{long}.jpg")], rejections=[rejection(f"/{long}.png", reason="begins with \0")])
    assert set(queries.known([f"/{long}.jpg", f"/{long}.png"])) == {f"/{long}.jpg", f"/{long}.png"}


def test_rejected_again_counts_the_attempts(store: Store, queries: Queries) -> None:
    from storage.schema import rejections

    for reason in ("first", "second", "third"):
        store.add([], rejections=[rejection("/a.jpg", reason=reason)])
    (row,) = queries.pictures(status="rejected")
    assert row.reason == "third"
    with queries._moment() as connection:
        assert connection.execute(rejections.select()).one().attempts == 3
    assert queries.status().rejected == 1


def test_what_kills_its_decoder_is_known_after_three_attempts(store: Store, queries: Queries) -> None:
    poison = replace(rejection("/a.jpg", sha256=sha(1), reason="crashed"), fatal=True)
    told = []
    for _ in range(4):
        store.add([], rejections=[poison])
        told.append((queries.known(["/a.jpg"]), queries.pictures(status="rejected")[0].reason))
    assert told == [
        ({}, "crashed; to be tried again"),
        ({}, "crashed; to be tried again"),
        ({"/a.jpg": (10, 1)}, "crashed; 3 attempts"),
        ({"/a.jpg": (10, 1)}, "crashed; 4 attempts"),
    ]
    store.add([], rejections=[replace(poison, sha256=sha(2))])
    assert queries.known(["/a.jpg"]) == {}, "other bytes have attempts of their own"
    assert list(queries.present_uris("folder")) == ["/a.jpg"]
    assert queries.status().rejected == 1


def test_missing_rejected_file_is_forgotten(store: Store, queries: Queries) -> None:
    store.add([], rejections=[rejection("/a.jpg")])
    assert list(queries.present_uris("folder")) == ["/a.jpg"]
    store.mark_missing(["/a.jpg", "/never.jpg"])
    assert list(queries.present_uris("folder")) == []
    assert queries.status().rejected == 0


def test_present_uris_are_those_of_the_source(store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.queries.URIS_PAGE", 2)
    store.add([picture(n) for n in range(5)] + [picture(9, source="other")])
    store.mark_missing(["/pictures/3.jpg"])
    assert sorted(queries.present_uris("folder")) == [f"/pictures/{n}.jpg" for n in (0, 1, 2, 4)]


def test_present_below_a_folder_are_those_of_all_sources_and_of_no_other_folder(store: Store, queries: Queries) -> None:
    places = ["/p_shed/3f/a.jpg", "/p_shed/b.jpg", "/P_SHED/c.jpg", "/pushed/d.jpg", "/p_shed-2/e.jpg"]
    found = [picture(n, uri=uri, source=f"s{n}") for n, uri in enumerate(places)]
    store.add(found, rejections=[rejection("/p_shed/r")])
    assert sorted(queries.present_below("/p_shed/")) == ["/p_shed/3f/a.jpg", "/p_shed/b.jpg", "/p_shed/r"]


def test_failed_batch_leaves_nothing(store: Store, queries: Queries, clock: Clock) -> None:
    naive = replace(rejection("/r.jpg"), captured_at=clock.now.replace(tzinfo=None))
    with pytest.raises(StatementError, match="time zone"):
        store.add([picture(1), picture(2)], rejections=[naive])
    assert queries.status().pictures == 0


def test_ids_and_arrival_times_grow_together_when_the_clock_goes_back(
    store: Store, queries: Queries, clock: Clock
) -> None:
    store.add([picture(1)])
    clock.tick(-3600)
    store.add([picture(2)])
    first, second = queries.pictures()
    assert first.ingested_at == second.ingested_at


def test_state_holds_json(store: Store, queries: Queries) -> None:
    assert queries.state("learned_through") is None
    store.set_state("learned_through", 5)
    store.set_state("learned_through", {"id": 7, "of": ["a", None]})
    assert queries.state("learned_through") == {"id": 7, "of": ["a", None]}


def test_states_are_kept_together_or_not_at_all(store: Store, queries: Queries) -> None:
    store.set_states({"queue": 3, "sources": []})
    with pytest.raises((StatementError, TypeError), match="not JSON serializable"):
        store.set_states({"queue": 4, "sources": {object()}})
    assert (queries.state("queue"), queries.state("sources")) == (3, [])


def test_paused_until_resumed(store: Store, queries: Queries) -> None:
    assert not queries.paused()
    store.add_events([Event(EventType.PAUSED, actor="anna")])
    assert queries.paused()
    store.add_events([Event(EventType.RESUMED, actor="anna")])
    assert not queries.paused()


def step(number: int, loss: float = 1.0) -> StepRecord:
    return StepRecord(number, loss, 0.1, 2.0, 0.0, 0.05, 96, 10)


def steps_kept(queries: Queries) -> list[int]:
    from storage.schema import learner_steps

    with queries._moment() as connection:
        return list(connection.execute(learner_steps.select().order_by(learner_steps.c.step)).scalars())


def test_steps_are_thinned_from_the_old_end(store: Store, queries: Queries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "STEPS_KEPT", 20)
    for number in range(60):
        store.add_steps([step(number)])
        assert len(steps_kept(queries)) <= 20
    kept = steps_kept(queries)
    assert kept[-5:] == [55, 56, 57, 58, 59]
    assert kept[0] == 0


def test_repeated_steps_replace_the_lost_ones(store: Store, queries: Queries) -> None:
    store.add_steps([step(1), step(2)])
    store.add_steps([step(2, loss=9.0), step(3)])
    assert steps_kept(queries) == [1, 2, 3]


def test_window_keys_are_the_first_bytes_of_the_hash(store: Store, queries: Queries) -> None:
    ids = store.add(pictures(range(3)))
    ids_N, key_N = queries.window_keys()
    assert ids_N.tolist() == ids
    assert key_N.tolist() == [int(sha(n)[:16], 16) for n in range(3)]
    assert (str(ids_N.dtype), str(key_N.dtype)) == ("int64", "uint64")


def test_window_keys_of_nothing(store: Store, queries: Queries) -> None:
    ids_N, key_N = queries.window_keys()
    assert (len(ids_N), len(key_N)) == (0, 0)


def test_pictures_by_sha_keep_their_order(store: Store, queries: Queries) -> None:
    store.add(pictures(range(4)))
    found = queries.pictures_by_sha([sha(3), sha(99), sha(0)])
    assert [one.sha256 for one in found] == [sha(3), sha(0)]
    assert queries.existing([sha(3), sha(99)]) == {sha(3): found[0].id}
    assert queries.thumbnails([found[0].id, 12345]) == {found[0].id: picture(3).thumbnail}
    assert queries.thumbnail(sha(3)) == picture(3).thumbnail
    assert queries.thumbnail(sha(99)) is None


def test_a_picture_is_read_once_with_the_place_where_it_was_found_first(store: Store, queries: Queries) -> None:
    store.add([picture(1)], repeats=[(sha(1), location("/copy.jpg")), (sha(1), location("/another.jpg"))])
    store.mark_missing([picture(1).location.uri])
    assert [one.place for one in queries.pictures_after(0, 9)] == [picture(1).location]
    assert [one.place for one in queries.pictures_by_sha([sha(1)])] == [picture(1).location]


def test_repeats_are_noted_and_not_counted_twice(store: Store, queries: Queries) -> None:
    store.add(pictures(range(2)))
    store.note_repeats({})
    for told in (2, 3, 1):
        store.note_repeats({sha(0): told, sha(99): 7})
    assert queries.picture(sha(0)).repeats == 3
    assert queries.picture(sha(1)).repeats == 0
