from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from agent.config import ReplayConfig
from agent.errors import ConfigError
from agent.replay import AT_ONCE, OUTLINE_PX, Observation, Replay, outlines

SIDE_PX = 8


def shot(number: int, innate: Sequence[float] | None = None) -> Observation:
    innate_D = np.eye(64, dtype=np.float32)[number % 64] if innate is None else np.array(innate, dtype=np.float32)
    pixels_CHW = torch.full((3, SIDE_PX, SIDE_PX), number % 256, dtype=torch.uint8)
    return Observation(number, str(number), pixels_CHW, innate_D)


def memory(dim: int = 64, **settings: float) -> Replay:
    return Replay(ReplayConfig.model_validate({"capacity": 8} | settings), SIDE_PX, dim, Generator().manual_seed(0))


def test_half_is_the_newest_and_half_from_all_before() -> None:
    replay = memory()
    for number in range(100):
        replay.add([shot(number)])
    assert len(replay) == 8
    shas = {int(sha) for sha in replay.sample(8).shas}
    assert {96, 97, 98, 99} < shas
    assert all(number < 96 for number in shas - {96, 97, 98, 99})


def test_too_few_bytes_for_a_memory_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ConfigError, match=r"replay\.capacity_mb=1 is too little for 8 pictures of 746 px; set it to 13"
    ):
        Replay(ReplayConfig(capacity_mb=1), 746, 64, Generator().manual_seed(0))
    assert Replay(ReplayConfig(capacity_mb=13), 746, 64, Generator().manual_seed(0)).capacity == 8


def test_bytes_are_bounded_too() -> None:
    replay = Replay(ReplayConfig(capacity=100_000, capacity_mb=1), 112, 64, Generator().manual_seed(0))
    assert replay.capacity == 2**20 // (3 * 112 * 112 + 4 * (64 + OUTLINE_PX**2 + 1) + 16)


def test_pictures_come_back_as_they_were() -> None:
    replay = memory()
    replay.add([shot(n) for n in range(5)])
    sample = replay.sample(5)
    for sha, pixels, innate in zip(sample.shas, sample.pixels_NCHW, sample.innate_ND, strict=True):
        assert (pixels == int(sha)).all()
        assert innate[int(sha)] == 1


def test_pictures_come_back_with_where_and_when_they_were_taken() -> None:
    replay, restarted = memory(), memory()
    seen = [replace(shot(n), source=f"camera {n % 2}", taken_s=None if n == 3 else 100.0 + n) for n in range(4)]
    replay.add(seen)
    by_sha = {o.sha256: o for o in seen}
    restarted.load_state_dict(*replay.state_dict(), lambda shas: [by_sha[sha] for sha in shas])
    for one in (replay.sample(4), restarted.sample(4), replay.collect(seen)):
        order = [int(sha) for sha in one.shas]
        assert [None if math.isnan(t) else t for t in one.taken_N.tolist()] == [by_sha[sha].taken_s for sha in one.shas]
        same = one.source_N.view(-1, 1) == one.source_N
        assert same.tolist() == [[(a - b) % 2 == 0 for b in order] for a in order]


def test_a_sample_has_no_picture_twice_and_takes_what_there_is() -> None:
    replay = memory()
    assert len(replay.sample(4)) == 0
    for n in range(40):
        replay.add([shot(n)])
    assert len(set(replay.sample(6).shas)) == 6
    assert len(replay.sample(99)) == 8


@pytest.mark.parametrize(("capacity", "recent_share"), [(8, 0.5), (8, 0.0), (8, 1.0), (100, 0.5)])
def test_however_many_come_at_once_the_same_are_kept(capacity: int, recent_share: float) -> None:
    one_by_one, at_once = (memory(capacity=capacity, recent_share=recent_share) for _ in range(2))
    seen = [shot(n) for n in range(2 * AT_ONCE + 50)]
    for observation in seen:
        one_by_one.add([observation])
    at_once.add(seen)
    assert len(at_once) == capacity
    assert set(at_once.shas) == set(one_by_one.shas)
    sample = at_once.sample(capacity)
    assert all((pixels == int(sha) % 256).all() for sha, pixels in zip(sample.shas, sample.pixels_NCHW, strict=True))


def test_the_reservoir_is_balanced_over_kinds() -> None:
    replay = memory(capacity=40)
    replay.balance_by({str(n): n // 200 for n in range(400)})
    for n in [*range(180), *range(200, 205), *range(205, 400)]:
        replay.add([shot(n)])
    kinds = [int(sha) // 200 for sha in replay.sample(40).shas if int(sha) < 380]
    assert abs(kinds.count(0) - kinds.count(1)) <= 1


def test_near_duplicates_are_counted_and_turned_away() -> None:
    replay = memory(dim=2)
    a, almost_a, b = [1.0, 0.0], [1.0, 0.05], [0.0, 1.0]
    fresh, _ = replay.admit([shot(0, a), shot(1, almost_a), shot(2, b)])
    assert [o.picture_id for o in fresh] == [0, 2]
    replay.add(fresh)
    fresh, _ = replay.admit([shot(3, almost_a), shot(4, [1.0, 1.0]), shot(5, b)])
    assert [o.picture_id for o in fresh] == [4]
    assert replay.repeats == {"0": 2, "2": 1}


def noise(number: int) -> Observation:
    pixels_CHW = torch.randint(256, (3, SIDE_PX, SIDE_PX), generator=Generator().manual_seed(number))
    return Observation(number, str(number), pixels_CHW.byte(), np.array([1.0, 0.0], dtype=np.float32))


def test_what_the_network_cannot_tell_apart_is_no_repeat_if_it_looks_different() -> None:
    replay = memory(dim=2, capacity=64)
    fresh, _ = replay.admit([noise(n) for n in range(16)])
    assert len(fresh) == 16
    replay.add(fresh)
    fresh, _ = replay.admit([noise(n) for n in range(16, 32)])
    assert len(fresh) == 16
    lighter = replace(noise(3), sha256="lighter", pixels_CHW=(noise(3).pixels_CHW // 2 + 60))
    assert replay.admit([lighter])[0] == []
    assert replay.repeats == {"3": 1}


def test_a_repeat_is_counted_on_the_most_alike() -> None:
    replay = memory(dim=2)
    replay.add([shot(0, [1.0, 0.1]), shot(1, [1.0, 0.0])])
    assert replay.admit([shot(2, [1.0, 0.01])])[0] == []
    assert replay.repeats == {"1": 1}


def test_outlines_correlate_like_the_pictures_and_flat_ones_are_alike() -> None:
    pixels_NCHW = torch.randint(256, (3, 3, 64, 64), generator=Generator().manual_seed(0)).byte()
    grey_NG = pixels_NCHW.double().mean(dim=1).view(3, 16, 4, 16, 4).mean(dim=(2, 4)).flatten(1)
    outline_NG = outlines(pixels_NCHW)
    expected = torch.corrcoef(grey_NG).float()
    torch.testing.assert_close(outline_NG @ outline_NG.T, expected, atol=0.02, rtol=0)
    flat = outlines(torch.stack([torch.full((3, 64, 64), 9).byte(), torch.full((3, 64, 64), 200).byte()]))
    torch.testing.assert_close(flat @ flat.T, torch.ones(2, 2))


def test_novelty_is_the_distance_to_what_is_remembered() -> None:
    replay = memory(dim=2)
    _, novelty = replay.admit([shot(0, [1.0, 0.0])])
    assert novelty.tolist() == [1.0]
    replay.add([shot(0, [1.0, 0.0])])
    _, novelty = replay.admit([shot(1, [0.0, 2.0]), shot(2, [3.0, 0.0])])
    torch.testing.assert_close(novelty, torch.tensor([1.0, 0.0]))


def test_counts_leave_with_their_picture() -> None:
    replay = memory(dim=64)
    for n in range(300):
        replay.add([shot(n)])
        replay._count_repeat(str(n))
    assert len(replay.repeats) == len(replay) == 8
    assert len(replay.left) == 292, "until somebody has written them down"
    replay.forget(["0", replay.shas[0]])
    assert len(replay.repeats) == 7
    assert len(replay.left) == 291


def test_forgotten_pictures_are_gone() -> None:
    replay = memory()
    for n in range(30):
        replay.add([shot(n)])
    kept = replay.sample(8).shas
    replay.forget(kept[:3])
    assert sorted(replay.sample(8).shas) == sorted(kept[3:])
    for n in range(30, 60):
        replay.add([shot(n)])
    assert len(replay) == 8


def test_it_goes_on_from_its_state() -> None:
    first, second = memory(), memory()
    for n in range(50):
        first.add([shot(n)])
    tensors, meta = first.state_dict()
    second.load_state_dict(tensors, meta, lambda shas: [shot(int(sha)) for sha in shas])
    for n in range(50, 90):
        first.add([shot(n)])
        second.add([shot(n)])
        assert first.sample(6).shas == second.sample(6).shas


def test_pictures_that_are_gone_are_left_out() -> None:
    first, second = memory(), memory()
    for n in range(50):
        first.add([shot(n)])
    tensors, meta = first.state_dict()
    gone = {meta["recent"][0], meta["reservoir"][0]}
    second.load_state_dict(tensors, meta, lambda shas: [shot(int(sha)) for sha in shas if sha not in gone])
    assert sorted(second.sample(8).shas) == sorted({*meta["recent"], *meta["reservoir"]} - gone)


def recall(shas: Sequence[str]) -> list[Observation]:
    return [shot(int(sha)) for sha in shas]


@pytest.mark.parametrize("smaller", [{"capacity": 16}, {"recent_share": 0.25}, {"recent_share": 0.0}])
def test_a_smaller_memory_takes_the_newest_and_the_luckiest_of_a_larger_one(smaller: dict[str, Any]) -> None:
    larger: dict[str, Any] = {"capacity": 64}
    first, second = memory(**larger), memory(**(larger | smaller))
    for n in range(200):
        first.add([shot(n)])
    tensors, meta = first.state_dict()
    second.load_state_dict(tensors, meta, recall)
    assert len(second) == second.capacity
    recent, reservoir = ([int(sha) for sha in second.state_dict()[1][key]] for key in ("recent", "reservoir"))
    assert recent == list(range(200 - len(recent), 200))
    assert len(recent) == round(second.capacity * smaller.get("recent_share", 0.5))
    highest = {int(sha) for sha in meta["reservoir"][: len(reservoir)]}
    no_longer_recent = {int(sha) for sha in meta["recent"]} - set(recent)
    assert set(reservoir) <= highest | no_longer_recent
    assert len(highest & set(reservoir)) >= len(highest) / 2, "newcomers have lower keys but for luck"
    for n in range(200, 300):
        second.add([shot(n)])
    assert len(second) == second.capacity


def test_counts_of_what_a_smaller_memory_has_no_room_for_go() -> None:
    first, second = memory(capacity=64), memory()
    for n in range(64):
        first.add([shot(n)])
        first._count_repeat(str(n))
    second.load_state_dict(*first.state_dict(), recall)
    assert second.repeats == dict.fromkeys(second.shas, 1)
