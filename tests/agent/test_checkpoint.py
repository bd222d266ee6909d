from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from agent import checkpoint
from agent.checkpoint import CheckpointError

TENSORS = {"a/w": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.uint8)}


def save(folder: Path, number: int) -> Path:
    return checkpoint.save(folder, f"learner-{number:03d}", TENSORS | {"n": torch.tensor(number)}, {"number": number})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    loaded = checkpoint.load(checkpoint.save(tmp_path / "new", "x", TENSORS, {"steps": 3, "shas": ["é"]}))
    assert loaded.meta == {"steps": 3, "shas": ["é"]}
    assert loaded.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(loaded.tensors[key], tensor) for key, tensor in TENSORS.items())


def test_any_memory_layout_comes_back(tmp_path: Path) -> None:
    odd = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    loaded = checkpoint.load(checkpoint.save(tmp_path, "x", {"odd": odd, "view": odd[:, :1]}, {}))
    assert torch.equal(loaded.tensors["odd"], odd)
    assert torch.equal(loaded.tensors["view"], odd[:, :1])


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_a_torn_one_is_skipped_for_the_one_before(tmp_path: Path, suffix: str, keep: float) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (torn,) = tmp_path.glob(f"learner-002*{suffix}")
    content = torn.read_bytes()
    torn.write_bytes(content[: int(len(content) * keep)])
    with pytest.warns(UserWarning, match="learner-002 is missing or torn"):
        found = checkpoint.newest(tmp_path, "learner-")
    assert found is not None
    assert found.name == "learner-001"
    assert found.meta == {"number": 1}
    assert int(found.tensors["n"]) == 1


def test_a_changed_number_in_the_manifest_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    manifest = tmp_path / "learner-001.json"
    manifest.write_text(manifest.read_text().replace('"number": 1', '"number": 7'))
    with pytest.raises(CheckpointError, match="checksum differs"):
        checkpoint.load(path)


def test_a_kill_at_any_instruction_leaves_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write, fsync and rename of saving over an older one of the same name is made the last."""
    save(tmp_path, 1)
    calls = {"left": 0}

    def dies_at(function: object) -> object:
        def call(*args: object, **rest: object) -> object:
            if calls["left"] == 0:
                raise KeyboardInterrupt
            calls["left"] -= 1
            return function(*args, **rest)  # type: ignore[operator]

        return call

    monkeypatch.setattr("os.fsync", dies_at(os.fsync))
    monkeypatch.setattr(Path, "replace", dies_at(Path.replace))
    monkeypatch.setattr(Path, "unlink", dies_at(Path.unlink))
    deaths = 0
    for instruction in range(20):
        calls["left"] = instruction
        try:
            checkpoint.save(tmp_path, "learner-001", {"n": torch.tensor(9)}, {"number": 9})
        except KeyboardInterrupt:
            deaths += 1
            found = checkpoint.newest(tmp_path, "learner-")
            assert found is not None
            assert found.meta["number"] == int(found.tensors["n"])
    assert deaths >= 6
    assert checkpoint.load(tmp_path / "learner-001").meta == {"number": 9}


def test_none_where_there_is_none(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert checkpoint.newest(tmp_path, "version-") is None
    assert checkpoint.newest(tmp_path / "nowhere") is None
    with pytest.raises(CheckpointError, match="version-1"):
        checkpoint.load(tmp_path / "version-1")


def test_pruning_keeps_the_last_and_leaves_others_alone(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, "version-1", TENSORS, {})
    for number in range(5):
        save(tmp_path, number)
    (tmp_path / ".learner-009.json.part").write_bytes(b"half")
    (tmp_path / "learner-009.abc.safetensors").write_bytes(b"no manifest")
    checkpoint.prune(tmp_path, "learner-", keep=2, last="learner-004")
    assert sorted({path.name.split(".")[0] for path in tmp_path.iterdir()}) == [
        "learner-003",
        "learner-004",
        "version-1",
    ]
    assert len(list(tmp_path.iterdir())) == 6
    assert checkpoint.load(tmp_path / "version-1").tensors.keys() == TENSORS.keys()


def test_pruning_never_takes_a_torn_one_for_the_one_that_was_just_written(tmp_path: Path) -> None:
    """A torn one is the last by name: what came before it was gone back to, and saved after fewer steps."""
    for number in (400, 500):
        save(tmp_path, number)
    (torn,) = tmp_path.glob("learner-500*.safetensors")
    torn.write_bytes(b"")
    save(tmp_path, 480)
    checkpoint.prune(tmp_path, "learner-", keep=1, last="learner-480")
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"learner-480"}
    found = checkpoint.newest(tmp_path, "learner-")
    assert found is not None
    assert found.name == "learner-480"


def test_only_the_named_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path, number)
    checkpoint.keep_only(tmp_path, "learner-", {"learner-001", "learner-003", "learner-007"})
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"learner-001", "learner-003"}
    assert checkpoint.load(tmp_path / "learner-001").meta == {"number": 1}
