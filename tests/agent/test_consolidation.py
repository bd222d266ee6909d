"""A stream whose novelty is given, and a teacher whose weights tell how many pictures it had seen."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from agent.config import EwcConfig
from agent.consolidation import SNAPSHOT_PICTURES, Consolidation, Happening

BATCH = 20


class Stream:
    """Pictures that are as new as is usual, or newer, noticed batch by batch."""

    def __init__(self, **settings: float) -> None:
        self.consolidation = Consolidation(EwcConfig.model_validate(settings), self.teacher_after(0))
        self.seen = 0
        self.chance = torch.Generator().manual_seed(0)

    @staticmethod
    def teacher_after(pictures: int) -> nn.Module:
        tail = nn.Linear(2, 1)
        with torch.no_grad():
            tail.weight.fill_(pictures)
        return tail

    def arrive(self, pictures: int, *, strange: bool = False, remembered: bool = True) -> list[Happening]:
        happenings = []
        for _ in range(0, pictures, BATCH):
            novelty_N = 0.1 + 0.01 * torch.rand(BATCH, generator=self.chance) + 0.5 * strange
            losses_of = losses if remembered else None
            happenings += self.consolidation.notice(novelty_N, self.teacher_after(self.seen), losses_of)
            self.seen += BATCH
        return happenings

    @property
    def anchored_at(self) -> float:
        """After how many pictures the network was what is protected now."""
        return float(self.consolidation.ewc.state_dict()["anchor.weight"].mean())


def losses(model: nn.Module) -> Iterable[Tensor]:
    yield model(torch.ones(4, 2)).sum(dim=1)


def reasons(happenings: list[Happening]) -> list[object]:
    return [detail["reason"] if kind == "consolidated" else kind for kind, detail in happenings]


def test_what_is_protected_is_from_before_the_shift_although_the_alarm_takes_its_time() -> None:
    stream = Stream(from_birth=False)
    stream.consolidation.alarm.threshold = 200
    shift_at = 2 * SNAPSHOT_PICTURES - 2 * BATCH
    assert stream.arrive(shift_at) == []
    happenings = stream.arrive(200, strange=True)
    assert reasons(happenings) == ["shift_detected", "shift"]
    assert stream.seen > 2 * SNAPSHOT_PICTURES, "a snapshot was due between the shift and its alarm"
    assert stream.anchored_at < shift_at


def test_a_shift_waits_until_enough_is_remembered_to_say_what_matters() -> None:
    stream = Stream(from_birth=False)
    stream.arrive(200, remembered=False)
    assert reasons(stream.arrive(100, strange=True, remembered=False)) == ["shift_detected"]
    assert stream.arrive(2 * SNAPSHOT_PICTURES, remembered=False) == []
    assert reasons(stream.arrive(BATCH)) == ["shift"]
    assert stream.anchored_at < 200
    assert stream.arrive(BATCH) == []


def test_a_shift_that_waits_is_not_forgotten_by_a_restart() -> None:
    stream, restarted = Stream(from_birth=False), Stream(from_birth=False)
    stream.arrive(200, remembered=False)
    stream.arrive(100, strange=True, remembered=False)
    restarted.consolidation.load_state_dict(*stream.consolidation.state_dict())
    assert reasons(restarted.arrive(BATCH)) == ["shift"]


def test_the_timer_protects_what_is_and_leaves_what_was_for_a_shift() -> None:
    stream = Stream(from_birth=False, every_pictures=700)
    assert reasons(stream.arrive(700)) == ["timer"]
    assert stream.anchored_at == 700 - BATCH
    assert reasons(stream.arrive(100, strange=True)) == ["shift_detected", "shift"]
    assert stream.anchored_at == 0


def test_birth_comes_first_and_a_shift_after_it() -> None:
    stream = Stream()
    stream.arrive(200, remembered=False)
    stream.arrive(100, strange=True, remembered=False)
    assert reasons(stream.arrive(3 * BATCH)) == ["birth", "shift"]


def test_nothing_is_consolidated_where_nothing_is_held() -> None:
    stream = Stream(strength=0)
    stream.arrive(200)
    assert reasons(stream.arrive(100, strange=True)) == ["shift_detected"]


def test_a_state_of_old_has_one_snapshot() -> None:
    stream, restarted = Stream(from_birth=False), Stream(from_birth=False)
    stream.arrive(SNAPSHOT_PICTURES)
    tensors, meta = stream.consolidation.state_dict()
    of_old = {key: tensor for key, tensor in tensors.items() if not key.startswith("newer/")}
    del meta["shift_waits"]
    restarted.consolidation.load_state_dict(of_old, meta)
    assert reasons(restarted.arrive(100, strange=True)) == ["shift_detected", "shift"]
