"""Where settings come from, and guesses at what was meant; `test_settings.py` has what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.layers import Given, guessed, is_section, read_environment, read_overrides, read_yaml

KEYS = ("seed", "learner.lr", "learner.head_dims", "cluster.k", "cluster.every", "push.listen")


def test_a_file_is_flat_and_knows_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("seed: 3\nlearner:\n  lr: 1e-3\n  head_dims: [4, 2]\ncluster:\n  k:\n")
    assert read_yaml(file, KEYS) == {
        "seed": Given("3", f"{file}:1"),
        "learner.lr": Given("1e-3", f"{file}:3"),
        "learner.head_dims": Given(["4", "2"], f"{file}:4"),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: 1\nseed: 2\n", ":2: seed was given before"),
        ("learner: 3\n", ":1: learner should be a section"),
        ("- a\n", ":1: the file should be a section"),
        ("learner:\n  lrr: 3\n", ":2: unknown key learner.lrr; did you mean learner.lr?"),
        ("a: [1\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(file, KEYS)
    assert says in str(error.value)
    assert str(error.value).startswith(str(file))


def test_an_empty_file_sets_nothing_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert read_yaml(tmp_path / "empty.yaml", KEYS) == {}
    with pytest.raises(ConfigError, match="another --config"):
        read_yaml(tmp_path / "none.yaml", KEYS)


def test_variables_of_others_are_left_alone() -> None:
    found = read_environment({"TAXON_LEARNER__LR": "1", "TAXON_PORT": "tcp://x", "HOME": "/", "TAXON_SEED": "4"}, KEYS)
    assert {key: given.value for key, given in found.items()} == {"learner.lr": "1", "seed": "4"}


@pytest.mark.parametrize("name", ["TAXON_LEARNER_LR", "TAXON_LEARNER__LRR", "TAXON_CLUSTER_EVRY"])
def test_a_slip_in_a_variable_is_told_in_its_own_spelling(name: str) -> None:
    with pytest.raises(ConfigError, match="did you mean TAXON_(LEARNER__LR|CLUSTER__EVERY)"):
        read_environment({name: "1"}, KEYS)


def test_of_two_flags_the_last_counts_and_addresses_are_no_lists() -> None:
    found = read_overrides(["cluster.k=[15, 30]", "cluster.k=[8]", "push.listen=[::1]:80", "seed= 3 "], KEYS)
    values = {key: given.value for key, given in found.items()}
    assert values == {"cluster.k": ["8"], "push.listen": "[::1]:80", "seed": "3"}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "KEY=VALUE"),
        ("sed=1", "did you mean seed?"),
        ("cluster=1", "cluster is a section"),
        ("cluster.k=[1", "list"),
    ],
)
def test_what_a_flag_should_have_been(override: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_overrides([override], KEYS)
    assert says in str(error.value)


def test_guesses_go_by_spelling_then_by_name() -> None:
    assert guessed("lerner.lr", KEYS) == "learner.lr"
    assert guessed("replay.every", KEYS) == "cluster.every"
    assert guessed("xyzzy", KEYS) is None
    assert is_section("learner", KEYS)
    assert not is_section("seed", KEYS)
