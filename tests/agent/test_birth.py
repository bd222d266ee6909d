from __future__ import annotations

from typing import Any

import pytest

from agent.birth import as_born, birth_of, require_same_birth
from agent.config import Config
from agent.errors import ConfigError


def config(seed: int = 0, **encoder: Any) -> Config:
    return Config.model_validate({"seed": seed, "encoder": encoder})


SCRATCH: dict[str, Any] = {"backbone": "small", "weights": "none"}


def test_random_weights_belong_to_their_seed() -> None:
    begun = birth_of(config(0, **SCRATCH))
    require_same_birth(begun, config(0, **SCRATCH))
    with pytest.raises(ConfigError, match=r"^seed is 1.* begun with 0; set it back, or give another --data$"):
        require_same_birth(begun, config(1, **SCRATCH))


def test_given_weights_are_the_same_under_any_seed() -> None:
    require_same_birth(birth_of(config(0)), config(1))


@pytest.mark.parametrize(("key", "value"), [("image_px", 64), ("trained_blocks", 3), ("weights", "pretrained")])
def test_what_is_not_the_same_is_named(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^encoder.{key} is {value}, and these data were begun with"):
        require_same_birth(birth_of(config()), config(**dict[str, Any]({key: value})))


def test_how_many_blocks_are_trained_means_nothing_where_all_are() -> None:
    require_same_birth(birth_of(config(**SCRATCH)), config(trained_blocks=3, **SCRATCH))


def test_data_that_do_not_say_everything_go_on() -> None:
    older = {"backbone": "small", "weights": "none", "image_px": 96}
    require_same_birth(older, config(7, **SCRATCH))
    with pytest.raises(ConfigError, match="encoder.image_px"):
        require_same_birth(older, config(image_px=32, **SCRATCH))


def test_the_born_network_can_be_had_whatever_the_settings_say_by_now() -> None:
    begun, now = config(3, **SCRATCH), config(5, image_px=32, **SCRATCH)
    assert as_born(now, birth_of(begun)) == (begun.encoder, 3)
    assert as_born(now, {}) == (now.encoder, 5)
