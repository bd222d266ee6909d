from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.graph import Graph, neighbour_graph
from agent.space import Points, unit
from agent.tracks import ANOTHER_TIME, SHORTLY, TRACK_NEIGHBOURS, one_of_each, tracks

SHARE = 0.5
VISITS, FRAMES = 40, 6


def visits(seed: int = 0, frames: int = FRAMES) -> Points:
    """Visits all over a space, each as frames close to one another."""
    rng = np.random.default_rng(seed)
    seen_VD = rng.normal(size=(VISITS, 16))
    return unit((np.repeat(seen_VD, frames, axis=0) + 0.2 * rng.normal(size=(VISITS * frames, 16))).astype(np.float32))


def graph_of(points_ND: Points) -> Graph:
    return neighbour_graph(points_ND, TRACK_NEIGHBOURS)


def came(points_ND: Points) -> NDArray[np.int64]:
    return np.arange(len(points_ND), dtype=np.int64)


def test_frames_of_a_visit_are_a_track_and_no_two_visits_are_one() -> None:
    points_ND = visits()
    track_N = tracks(graph_of(points_ND), came(points_ND), SHARE)
    for visit in track_N.reshape(VISITS, FRAMES):
        assert len(set(visit.tolist())) == 1
    assert len(np.unique(track_N)) == VISITS


def test_what_is_as_alike_but_came_at_other_times_is_no_track() -> None:
    points_ND = visits()
    shuffled_N = np.random.default_rng(1).permutation(len(points_ND))
    track_N = tracks(graph_of(points_ND[shuffled_N]), came(points_ND), SHARE)
    assert len(np.unique(track_N)) > 0.95 * len(points_ND)


def test_what_came_at_the_same_time_but_is_no_more_alike_than_the_rest_of_its_kind_is_no_track() -> None:
    rng = np.random.default_rng(0)
    kinds_ND = unit((np.repeat(rng.normal(size=(3, 16)), 100, axis=0) + rng.normal(size=(300, 16))).astype(np.float32))
    assert len(np.unique(tracks(graph_of(kinds_ND), came(kinds_ND), SHARE))) > 0.95 * len(kinds_ND)


def test_other_sources_may_send_pictures_in_between_but_not_for_long() -> None:
    points_ND = visits()
    one_track = tracks(graph_of(points_ND), SHORTLY * came(points_ND), SHARE)
    assert len(np.unique(one_track)) == VISITS * -(-(SHORTLY * (FRAMES - 1) + 1) // ANOTHER_TIME)
    none = tracks(graph_of(points_ND), (SHORTLY + 1) * came(points_ND), SHARE)
    assert len(np.unique(none)) == len(points_ND)


def test_a_long_film_is_several_tracks() -> None:
    points_ND = visits(frames=3 * ANOTHER_TIME)
    track_N = tracks(neighbour_graph(points_ND, 4 * ANOTHER_TIME), came(points_ND), SHARE)
    assert all(np.ptp(np.flatnonzero(track_N == track)) < ANOTHER_TIME for track in np.unique(track_N))


def test_a_share_of_zero_and_too_few_points_are_no_tracks() -> None:
    points_ND = visits()
    assert np.array_equal(tracks(graph_of(points_ND), came(points_ND), 0), came(points_ND))
    assert tracks(graph_of(points_ND[:1]), came(points_ND[:1]), SHARE).tolist() == [0]
    assert len(np.unique(tracks(graph_of(points_ND[:3]), came(points_ND[:3]), SHARE))) <= 3


def test_the_neighbours_are_the_nearest_of_each_other_track() -> None:
    points_ND = visits()
    graph = graph_of(points_ND)
    track_N = tracks(graph, came(points_ND), SHARE)
    found_NK = one_of_each(graph.neighbour_NK, track_N, 3)
    for row, neighbours in enumerate(graph.neighbour_NK.tolist()):
        seen, expected = {track_N[row]}, []
        for other in neighbours:
            if track_N[other] not in seen:
                expected.append(other)
                seen.add(track_N[other])
        assert found_NK[row].tolist()[: len(expected)] == expected[:3]


def test_where_there_are_too_few_tracks_the_nearest_make_up_for_it() -> None:
    neighbour_NK = np.array([[1, 2, 3], [0, 2, 3], [3, 0, 1], [2, 0, 1]])
    track_N = np.array([0, 0, 0, 1])
    assert one_of_each(neighbour_NK, track_N, 2).tolist() == [[3, 1], [3, 0], [3, 0], [2, 0]]


def test_without_tracks_nothing_changes() -> None:
    graph = graph_of(visits())
    alone_N = np.arange(len(graph.neighbour_NK))
    assert np.array_equal(one_of_each(graph.neighbour_NK, alone_N, 5), graph.neighbour_NK[:, :5])
