"""Settings: which layer counts, what is refused and how it is said, and what is written back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import PRESETS, AugmentConfig, Config
from agent.errors import ConfigError
from agent.settings import EFFECTIVE, effective_yaml, fields, load_config, write_effective

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NOTHING: dict[str, str] = {}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def refused(file: Path | None = None, *overrides: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides, environment=environment)
    message = str(caught.value)
    assert "\n" not in message
    return message


# -------------------------------------------------------------------------- layers


def test_nothing_given_means_the_defaults() -> None:
    assert load_config(environment=NOTHING) == Config()


def test_later_layers_count(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "seed: 1\nlearner:\n  lr: 1e-3\n  align: 0.25\ncluster:\n  every: 7\n")
    environment = {"TAXON_LEARNER__LR": "2e-3", "TAXON_CLUSTER__EVERY": "8"}
    config = load_config(file, ["cluster.every=9", "cluster.every=10"], environment=environment)
    assert (config.seed, config.learner.align, config.learner.lr, config.cluster.every) == (1, 0.25, 2e-3, 10)


def test_lists_are_written_as_in_yaml() -> None:
    config = load_config(None, ["cluster.k=[5, 9]"], environment={"TAXON_LEARNER__HEAD_DIMS": "[64, 32]"})
    assert config.cluster.k == (5, 9)
    assert config.learner.head_dims == (64, 32)


def test_a_key_or_a_section_left_blank_keeps_its_defaults(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "learner:\n  # lr: 3\ncluster:\n  every:\n")
    assert load_config(file, environment=NOTHING) == Config()
    assert load_config(write(tmp_path / "empty.yaml", ""), environment=NOTHING) == Config()


def test_values_with_equal_signs_and_umlauts_arrive_whole() -> None:
    url = "postgresql+psycopg://ä:b@host/taxon?sslmode=require"
    assert load_config(None, [f"storage.url={url}"], environment=NOTHING).storage.url == url


def test_variables_of_other_programs_are_left_alone() -> None:
    others = {"TAXON_PORT": "tcp://10.0.0.1:80", "TAXON_DATASETS": "/d", "HOME": "/root", "taxon_seed": "9"}
    assert load_config(environment=others) == Config()


# -------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "line", "guess"),
    [
        ("learner:\n  views_per_picture: 3\n  lrr: 1\n", 3, "learner.lr"),
        ("seed: 1\nlaerner:\n  lr: 1\n", 2, "learner"),
        ("lr: 1\n", 1, "learner.lr"),
        ("cluster:\n  cluster:\n    every: 3\n", 2, "cluster."),
        ("storage:\n  uri: x\n", 2, "storage.url"),
    ],
)
def test_an_unknown_key_is_named_with_file_and_line_and_a_guess(
    tmp_path: Path, text: str, line: int, guess: str
) -> None:
    file = write(tmp_path / "mine.yaml", text)
    message = refused(file)
    assert message.startswith(f"{file}:{line}: unknown key ")
    assert f"did you mean {guess}" in message


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("seed: 1\nlearner:\n  lr: fast\n", 3, "learner.lr should be a valid number, not fast"),
        ("learner:\n  lr: -1\n", 2, "learner.lr should be greater than 0, not -1"),
        ("learner:\n  lr: yes\n", 2, "learner.lr should be a valid number, not yes"),
        ("cluster:\n  every: 1.5\n", 2, "cluster.every should be a valid integer"),
        ("cluster:\n\n  k: 15\n", 3, "cluster.k should be a list, such as [8], not 15"),
        ("cluster:\n  k: [15, many]\n", 2, "cluster.k should be a valid integer"),
        ("learner:\n  head_dims: [3]\n", 2, "learner.head_dims has too few values"),
        ("learner:\n  head_dims: [3, 4, 5]\n", 2, "learner.head_dims has too many values"),
        ("log:\n  level: loud\n", 2, "log.level should be 'debug', 'info'"),
        ("learner:\n  lr: {a: 1}\n", 2, "learner.lr should be a valid number"),
        ("learner: 3\n", 1, "learner should be a section"),
        ("- seed\n", 1, "should be a section"),
        ("seed: 1\nseed: 2\n", 2, "seed was given before"),
        ("seed: 1\n  lr: [\n", 2, "not valid YAML"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    file = write(tmp_path / "mine.yaml", text)
    message = refused(file)
    assert message.startswith(f"{file}:{line}: ")
    assert problem in message


def test_more_than_one_error_is_counted() -> None:
    message = refused(None, "learner.lr=-1", "cluster.every=0", "seed=x")
    assert message.endswith("(and 2 more)")


def test_the_place_is_that_of_the_layer_that_counts(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", "learner:\n  lr: 1\n")
    assert refused(file, "learner.lr=0").startswith("--set learner.lr=0: learner.lr should be")
    assert refused(file, TAXON_LEARNER__LR="0").startswith("environment variable TAXON_LEARNER__LR: learner.lr should")


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("learner.lrr=1", "did you mean learner.lr?"),
        ("learner.lr", "write --set KEY=VALUE"),
        ("learner=1", "learner is a section"),
        ("cluster.k=[1", "write one as [15, 30]"),
        ("zzz=1", "config show"),
        ("=1", "unknown key"),
    ],
)
def test_a_wrong_override_is_named(override: str, hint: str) -> None:
    message = refused(None, override)
    assert message.startswith(f"--set {override}")
    assert hint in message


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("TAXON_LEARNER__LRR", "TAXON_LEARNER__LR"),
        ("TAXON_LEARNER_LR", "TAXON_LEARNER__LR"),
        ("TAXON_DEVICES", "TAXON_DEVICE"),
    ],
)
def test_a_variable_that_was_meant_for_us_is_refused(name: str, guess: str) -> None:
    message = refused(None, **{name: "1"})
    assert name in message
    assert f"did you mean {guess}?" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere.yaml").startswith(f"{tmp_path / 'nowhere.yaml'}: No such file")
    assert "not UTF-8" in refused(_bytes(tmp_path / "latin.yaml", b"device: \xe4"))


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_passwords_stay_out_of_messages() -> None:
    assert "hunter2" not in refused(None, "log.level=postgresql://me:hunter2@host/db").partition(", not ")[2]


@given(key=st.text(min_size=1, max_size=12), value=st.text(max_size=12))
def test_whatever_is_set_either_counts_or_is_refused(key: str, value: str) -> None:
    try:
        config = load_config(None, [f"{key}={value}"], environment=NOTHING)
    except ConfigError:
        return
    assert key.strip() in dict(fields(Config))
    assert config is not None


# -------------------------------------------------------------------------- files in the repository


def test_the_default_file_equals_the_code() -> None:
    file = CONFIGS / "default.yaml"
    head, _, body = file.read_text(encoding="utf-8").partition("\n\n")
    assert all(line.startswith("#") for line in head.splitlines())
    assert load_config(file, environment=NOTHING) == Config(), "agent/config.py has changed: make defaults"
    assert body == effective_yaml(Config()), "configs/default.yaml is behind agent/config.py: make defaults"


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_profile_can_be_loaded(file: Path) -> None:
    assert load_config(file, environment=NOTHING).seed == 0


def test_profiles_keep_their_promises() -> None:
    tiny = load_config(CONFIGS / "tiny.yaml", environment=NOTHING)
    scratch = load_config(CONFIGS / "scratch.yaml", environment=NOTHING)
    assert tiny.cluster.window < Config().cluster.window
    assert (scratch.encoder.backbone, scratch.encoder.weights, scratch.encoder.image_px) == ("small", "none", 32)
    assert load_config(CONFIGS / "gpu.yaml", environment=NOTHING).device == "cuda"


def test_every_setting_is_explained() -> None:
    silent = {key for key, field in fields(Config) if not field.description}
    assert silent <= {"learner.weight_decay", "learner.warmup_steps", "log.level", "log.format"}


# -------------------------------------------------------------------------- writing


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    overrides = ["folder.watch=[/a b, /c]", "learner.lr=1e-5", "storage.url=postgresql://me:pw@h/db", "cluster.k=[3]"]
    config = load_config(None, overrides, environment=NOTHING)
    write_effective(config, tmp_path)
    assert load_config(tmp_path / EFFECTIVE, environment=NOTHING) == config
    assert [path.name for path in tmp_path.iterdir()] == [EFFECTIVE]
    assert (tmp_path / EFFECTIVE).stat().st_mode & 0o077 == 0


def test_passwords_are_hidden_from_eyes() -> None:
    config = load_config(None, ["storage.url=postgresql://me:p@ss@host/db?password=also"], environment=NOTHING)
    assert re.search(r"url: postgresql://me:\*\*\*@host/db\?password=\*\*\*", effective_yaml(config))


def test_logins_of_cameras_stay_out_of_what_is_written(tmp_path: Path) -> None:
    cameras = "camera.watch=['a=rtsp://me:p@ss/w@cam/1', 'b=http://token@cam/?pwd=x&channel=2']"
    config = load_config(None, [cameras], environment=NOTHING)
    write_effective(config, tmp_path)
    for text in ((tmp_path / EFFECTIVE).read_text(), effective_yaml(config)):
        assert "a=rtsp://***@cam/1" in text
        assert "b=http://***@cam/?pwd=***&channel=2" in text
    message = refused(None, "camera.watch=[a=gopher://me:secret@cam]")
    assert "gopher:// is not known" in message
    assert "NAME=URL" in refused(None, "camera.watch=[rtsp://me:secret@cam]")
    for wrong in (cameras.replace("'", ""), "camera.watch=[a=gopher://me:p@ss@cam]", "camera.watch=[http://token@cam]"):
        message = refused(None, wrong)
        assert "p@ss" not in message
        assert "token" not in message


def test_a_token_stays_out_of_messages_files_and_eyes(tmp_path: Path) -> None:
    token = "t0ken-of-17-chars"
    config = load_config(environment={"TAXON_PUSH__TOKEN": token})
    assert config.push.token.get_secret_value() == token
    write_effective(config, tmp_path)
    for text in (str(config), effective_yaml(config), (tmp_path / EFFECTIVE).read_text()):
        assert token not in text
    assert not load_config(tmp_path / EFFECTIVE, environment=NOTHING).push.token.get_secret_value()
    message = refused(None, "push.token=t0ken")
    assert ("push.token" in message, "at least 16" in message, "t0ken" in message) == (True, True, False)
    assert "with space" not in refused(None, TAXON_PUSH__TOKEN="with space inside it")


@pytest.mark.parametrize("listen", ["8080x", "host", "host:0", "host:65536", "a b:80", "http://host:80"])
def test_where_to_listen_is_host_and_port(listen: str) -> None:
    assert "push.listen is wrong: give HOST:PORT" in refused(None, f"push.listen={listen}")
    assert load_config(None, ["push.listen=[::1]:8080"], environment=NOTHING).push.listen == "[::1]:8080"


def test_a_preset_of_augmentations_fills_in_what_is_not_given() -> None:
    config = load_config(None, ["augment.preset=photos", "augment.flip=0.1"], environment={})
    assert config.augment.flip == 0.1
    assert config.augment.crop_min == PRESETS["photos"]["crop_min"] != Config().augment.crop_min
    assert Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("preset", get_args(AugmentConfig.model_fields["preset"].annotation))
def test_every_preset_is_told_and_valid(preset: str) -> None:
    assert AugmentConfig.model_validate({"preset": preset, **PRESETS[preset]}) == AugmentConfig(preset=preset)  # type: ignore[arg-type]
    assert set(PRESETS[preset]) <= set(AugmentConfig.model_fields)


def test_an_unknown_preset_is_an_error_that_names_the_key() -> None:
    with pytest.raises(ConfigError, match="augment.preset"):
        load_config(None, ["augment.preset=photo"], environment={})
