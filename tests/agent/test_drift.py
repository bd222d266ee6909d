from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from agent.drift import PageHinkley, drift_between


def alarms(values: list[float], test: PageHinkley) -> list[int]:
    return [i for i, value in enumerate(values) if test.tell(value)]


def test_a_rise_of_the_mean_is_noticed_soon() -> None:
    chance = np.random.default_rng(0)
    values = [*chance.normal(0.2, 0.05, 1000), *chance.normal(0.35, 0.05, 200)]
    (noticed,) = alarms(values, PageHinkley())
    assert 1000 < noticed < 1060


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_stream_sets_nothing_off(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(4, 0.05, 5000).tolist()
    assert alarms(values, PageHinkley()) == []


def test_a_fall_of_the_mean_is_no_alarm() -> None:
    chance = np.random.default_rng(0)
    assert alarms([*chance.normal(0.3, 0.05, 1000), *chance.normal(0.1, 0.05, 1000)], PageHinkley()) == []


def test_single_odd_values_are_no_shift() -> None:
    values = np.random.default_rng(0).normal(0.2, 0.05, 2000)
    values[500::100] = 50.0
    assert alarms(values.tolist(), PageHinkley()) == []


def test_the_first_values_do_not_count_since_an_empty_memory_finds_everything_new() -> None:
    chance = np.random.default_rng(0)
    steady, rise = chance.normal(0.2, 0.05, 300), chance.normal(0.3, 0.05, 100)
    (noticed,) = alarms([*[1.0] * 64, *steady, *rise], PageHinkley())
    assert 364 < noticed < 390


def test_it_starts_anew_after_an_alarm_and_goes_on_from_a_state() -> None:
    chance = np.random.default_rng(0)
    values = [v for mean in (0.1, 0.4, 0.7) for v in chance.normal(mean, 0.05, 600)]
    whole = alarms(values, PageHinkley())
    assert len(whole) == 2

    first, second = PageHinkley(), PageHinkley()
    before = alarms(values[:700], first)
    second.load_state_dict(first.state_dict())
    after = alarms(values[700:], second)
    assert before + [700 + i for i in after] == whole


def test_drift_is_nought_for_scale_and_translation_and_one_for_strangers() -> None:
    x = torch.randn(500, 64, generator=Generator().manual_seed(0))
    other = torch.randn(500, 64, generator=Generator().manual_seed(1))
    assert float(drift_between(x, 3 * x + 7)) == pytest.approx(0, abs=1e-5)
    assert float(drift_between(x, other)) == pytest.approx(1, abs=0.05)
    assert float(drift_between(x, -x)) == pytest.approx(2, abs=1e-5)
