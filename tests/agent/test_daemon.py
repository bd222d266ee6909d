from __future__ import annotations

import pytest
from sqlalchemy import Engine

from agent.config import Config
from agent.daemon import check_shared, claim_network, join_network
from agent.errors import ConfigError
from storage.errors import NotFound
from storage.store import Store


def of(image_px: int = 16, seed: int = 0) -> Config:
    encoder = {"backbone": "small", "weights": "none", "image_px": image_px}
    return Config.model_validate({"encoder": encoder, "seed": seed})


def test_a_data_directory_belongs_to_its_network(engine: Engine) -> None:
    claim_network(engine, of())
    claim_network(engine, of())
    with pytest.raises(ConfigError, match="another --data"):
        claim_network(engine, of(image_px=32))


def test_data_of_a_random_network_belong_to_its_seed(engine: Engine) -> None:
    claim_network(engine, of())
    with pytest.raises(ConfigError, match="seed is 1"):
        claim_network(engine, of(seed=1))


def test_data_that_do_not_tell_their_seed_go_on(engine: Engine) -> None:
    Store(engine).ensure_born({"backbone": "small", "weights": "none", "image_px": 16})
    claim_network(engine, of(seed=1))


def test_who_only_takes_pictures_in_comes_after_the_agent_that_learns(engine: Engine) -> None:
    with pytest.raises(NotFound, match="start the agent"):
        join_network(engine, of())
    claim_network(engine, of())
    join_network(engine, of())
    with pytest.raises(ConfigError, match="begun with 16"):
        join_network(engine, of(image_px=32))


@pytest.mark.parametrize(("url", "shared"), [("", False), ("sqlite:////a.db", False), ("postgresql://db/kinds", True)])
def test_pictures_are_taken_in_for_an_agent_that_can_be_reached(url: str, shared: bool) -> None:
    config = Config.model_validate({"ingest_as": "gate", "storage": {"url": url}})
    if shared:
        check_shared(config)
    else:
        with pytest.raises(ConfigError, match="set storage.url"):
            check_shared(config)
