"""Pictures that are shown: embedded as the agent embeds them, and stored through the door of arrivals."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from agent import checkpoint
from agent.config import Config
from agent.encoder import build_encoder
from agent.newcomers import ELSEWHERE, Newcomers, decoded, source_of
from storage.errors import Refused
from storage.queries import Queries
from storage.store import Store
from storage.vectors import from_bytes
from tests.learners import small_config
from tests.pictures import jpeg


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return small_config(folder={"watch": (tmp_path / "watched",)}, decode={"workers": 1})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "watched").mkdir()
    paths = [tmp_path / "watched" / "one.jpg", tmp_path / "two.jpg"]
    for seed, path in enumerate(paths):
        path.write_bytes(jpeg("disc", seed))
    return paths


def publish(config: Config, data: Path, store: Store) -> int:
    """A version with weights of its own."""
    version = store.begin_version("", {})
    encoder = build_encoder(config.encoder, config.seed)
    moved = {name: value + 0.01 * torch.ones_like(value) for name, value in encoder.tail.state_dict().items()}
    checkpoint.save(data / "checkpoints", checkpoint.version_name(version), moved, {})
    store.publish_version(version)
    return version


def vector(one: object) -> np.ndarray:
    assert isinstance(one, str)
    return from_bytes(base64.b64decode(one))


def test_shown_and_stored_have_the_same_vectors(
    config: Config, files: list[Path], data: Path, store: Store, queries: Queries
) -> None:
    version = publish(config, data, store)
    frames = decoded(files, config)
    shown = Newcomers(config, data, queries)
    described = shown.described(frames)
    assert queries.existing([frame.sha256 for frame in frames]) == {}
    shown.keep(frames, store)
    ids = [queries.existing([frame.sha256])[frame.sha256] for frame in frames]
    _, innate_ND, learned_ND = queries.embeddings(ids, version)
    assert learned_ND is not None
    for i, one in enumerate(described):
        assert one["version"] == version
        assert np.array_equal(vector(one["innate"]), innate_ND[i])
        assert np.array_equal(vector(one["learned"]), learned_ND[i])
    assert not np.array_equal(innate_ND, learned_ND)
    rows = queries.by_id(ids)
    assert [rows[i].source for i in ids] == [str(files[0].parent), ELSEWHERE]


def test_a_version_that_is_being_built_gets_their_vectors(
    config: Config, files: list[Path], data: Path, store: Store, queries: Queries
) -> None:
    """The agent embeds the window that it chose before they came."""
    shown = Newcomers(config, data, queries)
    building = store.begin_version("", {})
    tail = build_encoder(config.encoder, config.seed).tail.state_dict()
    checkpoint.save(data / "checkpoints", checkpoint.version_name(building), tail, {})
    frames = decoded(files, config)
    shown.keep(frames, store)
    store.publish_version(building)
    ids = list(queries.existing([frame.sha256 for frame in frames]).values())
    assert len(queries.unembedded(building, ids)) == 0


def test_what_was_forgotten_stays_out(
    config: Config, files: list[Path], data: Path, store: Store, queries: Queries
) -> None:
    shown, frames = Newcomers(config, data, queries), decoded(files, config)
    shown.keep(frames, store)
    store.forget([frames[0].sha256], "anna")
    with pytest.raises(Refused, match="forgotten"):
        shown.keep(frames, store)


def test_a_file_that_is_no_picture_is_refused(config: Config, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(Refused, match="notes.jpg: .*; give a picture"):
        decoded([tmp_path / "notes.jpg"], config)


def test_only_files_of_a_watched_folder_are_its_own(config: Config, tmp_path: Path) -> None:
    assert source_of(tmp_path / "watched" / "deep" / "a.jpg", config) == str(tmp_path / "watched")
    assert source_of(tmp_path / "watched-too" / "a.jpg", config) == ELSEWHERE
