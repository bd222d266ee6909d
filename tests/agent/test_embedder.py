from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from agent.config import EncoderConfig
from agent.device import HOST
from agent.embedder import Embedder
from agent.encoder import build_encoder
from tests.learners import bundled_encoder, picture


def cosine(a: NDArray[np.float16], b: NDArray[np.float16]) -> NDArray[np.float64]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    cosines: NDArray[np.float64] = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    return cosines


def test_company_does_not_matter() -> None:
    encoder = bundled_encoder()
    embedder = Embedder(encoder, {2: encoder.tail}, HOST)
    pictures = [picture(n, side_px) for n, side_px in enumerate([16, 64, 96, 200, 33])]
    together, learned = embedder.embed(pictures)
    alone = np.concatenate([embedder.embed([p])[0] for p in pictures])
    assert together.dtype == np.float16
    assert together.shape == (5, encoder.dim)
    assert (cosine(together, alone) > 1 - 1e-3).all()
    assert np.array_equal(learned[2], together)


def test_each_version_has_vectors_of_its_own() -> None:
    encoder = build_encoder(EncoderConfig(backbone="small", weights="none", image_px=16), seed=0)
    embedder = Embedder(encoder, {}, HOST)
    assert embedder.embed([picture(0)])[1] == {}
    tail = encoder.new_tail()
    with torch.no_grad():
        for parameter in tail.parameters():
            parameter.mul_(1.5)
    embedder.add_tail(2, tail)
    embedder.add_tail(3, encoder.tail)
    innate, learned = embedder.embed([picture(0), picture(1)])
    assert list(learned) == [2, 3]
    assert np.array_equal(learned[3], innate)
    assert not np.array_equal(learned[2], innate)
    embedder.keep_only(3)
    assert list(embedder.embed([picture(0)])[1]) == [3]


def test_it_owns_its_weights() -> None:
    encoder = build_encoder(EncoderConfig(backbone="small", weights="none", image_px=16), seed=0)
    embedder = Embedder(encoder, {2: encoder.tail}, HOST)
    before = embedder.embed([picture(0)])
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    after = embedder.embed([picture(0)])
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1][2], after[1][2])


def test_no_pictures_no_vectors() -> None:
    encoder = build_encoder(EncoderConfig(backbone="small", weights="none", image_px=16), seed=0)
    innate, learned = Embedder(encoder, {2: encoder.tail}, HOST).embed([])
    assert innate.shape == learned[2].shape == (0, 256)
