from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from agent.config import Config
from agent.device import HOST
from agent.settings import load_config
from benchmarks.provenance import changed, commit, made_with


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit with a file of the agent, and one with a result."""
    for folder in ("agent", "benchmarks/results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "agent" / "learner.py").write_text("1\n")
    (tmp_path / "benchmarks" / "results" / "one.json").write_text("1\n")
    who = ("-c", "user.name=taxon", "-c", "user.email=taxon@localhost")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_only_what_differs_is_told_whoever_set_it(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    file.write_text("learner:\n  lr: 1.0e-4\n")
    environment = {"TAXON_EWC__STRENGTH": "2", "TAXON_PUSH__TOKEN": "nobody-may-see-this"}
    config = load_config(file, ["cluster.k=[15]", "learner.align=0.5"], environment=environment)
    told = changed(config)
    assert "nobody-may-see-this" not in str(told)
    told.pop("push.token")
    assert told == {"cluster.k": [15], "ewc.strength": 2.0, "learner.lr": 1e-4}
    assert changed(Config()) == {}


def test_a_preset_is_told_with_what_it_sets() -> None:
    told = changed(load_config(None, ["augment.preset=symbols"], environment={}))
    assert told == {"augment.preset": "symbols", "augment.crop_min": 0.5}


def test_changed_code_is_marked_and_new_results_are_not(repository: Path) -> None:
    clean = commit(repository)
    assert clean is not None
    assert 7 <= len(clean) <= 12
    (repository / "benchmarks" / "results" / "one.json").write_text("2\n")
    assert commit(repository) == clean
    (repository / "agent" / "learner.py").write_text("2\n")
    assert commit(repository) == f"{clean}+"


def test_without_history_or_git_there_is_no_commit(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "bare").mkdir()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "bare"))
    assert commit(tmp_path) is None
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.setenv("PATH", "")
    assert commit(repository) is None


def test_device_and_threads_stand_beside_them() -> None:
    told = made_with(Config(), HOST)
    assert (told["device"], told["threads"]) == ("cpu", torch.get_num_threads())
