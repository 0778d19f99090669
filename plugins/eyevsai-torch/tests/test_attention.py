"""Attention against its papers' formulas, written out in numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.signal import correlate2d

from eyevsai_torch.attention import (
    CBAM,
    ChannelAttention,
    SelfAttention2d,
    SpatialAttention,
    SqueezeExcite,
)

Array = npt.NDArray[np.float64]


@pytest.fixture
def values() -> torch.Tensor:
    return torch.randn(2, 32, 5, 7, generator=torch.Generator().manual_seed(0))


def numbers(tensor: torch.Tensor) -> Array:
    return tensor.detach().numpy().astype(np.float64)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def perceptron(layer: SqueezeExcite | ChannelAttention, x: Array) -> Array:
    """Two layers with a rectifier between, of (n, channels)."""
    hidden = x @ numbers(layer.squeeze.weight).T + numbers(layer.squeeze.bias)
    return np.maximum(hidden, 0) @ numbers(layer.excite.weight).T + numbers(layer.excite.bias)


def test_squeeze_and_excitation(values: torch.Tensor) -> None:
    """Hu et al. 2018, equations 2 to 4."""
    layer = SqueezeExcite(32)
    x = numbers(values)
    expected = x * sigmoid(perceptron(layer, x.mean((2, 3))))[:, :, None, None]
    np.testing.assert_allclose(numbers(layer(values)), expected, atol=1e-6)
    assert layer.squeeze.out_features == 8  # never fewer


def channel_attention(layer: ChannelAttention, x: Array) -> Array:
    """Woo et al. 2018, equation 2."""
    means, maxima = x.mean((2, 3)), x.max((2, 3))
    return x * sigmoid(perceptron(layer, means) + perceptron(layer, maxima))[:, :, None, None]


def spatial_attention(layer: SpatialAttention, x: Array) -> Array:
    """Woo et al. 2018, equation 3: a 7x7 filter over two planes, zeros around."""
    kernel = numbers(layer.look.weight)[0]
    planes = np.stack([x.mean(1), x.max(1)], 1)
    looked = [
        sum(correlate2d(plane, k, mode="same") for plane, k in zip(both, kernel, strict=True))
        for both in planes
    ]
    return x * sigmoid(np.stack(looked))[:, None]


def test_channel_attention(values: torch.Tensor) -> None:
    layer = ChannelAttention(32)
    expected = channel_attention(layer, numbers(values))
    np.testing.assert_allclose(numbers(layer(values)), expected, atol=1e-6)


def test_spatial_attention(values: torch.Tensor) -> None:
    layer = SpatialAttention()
    expected = spatial_attention(layer, numbers(values))
    np.testing.assert_allclose(numbers(layer(values)), expected, atol=1e-6)


def test_cbam_is_channels_then_places(values: torch.Tensor) -> None:
    layer = CBAM(32)
    expected = spatial_attention(layer.places, channel_attention(layer.channels, numbers(values)))
    np.testing.assert_allclose(numbers(layer(values)), expected, atol=1e-6)


def test_self_attention(values: torch.Tensor) -> None:
    """Vaswani et al. 2017, equation 1, for each head; added with its share."""
    layer = SelfAttention2d(32, heads=4)
    with torch.no_grad():
        layer.share.fill_(0.7)
    x = numbers(values).reshape(2, 32, 35)
    asked = np.einsum("oc,ncp->nop", numbers(layer.ask.weight)[:, :, 0, 0], x)
    query, key, value = (part.reshape(2, 4, 8, 35) for part in np.split(asked, 3, axis=1))
    logits = np.einsum("nhdp,nhdq->nhpq", query, key) / np.sqrt(8)
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    seen = np.einsum("nhpq,nhdq->nhdp", shares, value).reshape(2, 32, 35)
    answer = np.einsum("oc,ncp->nop", numbers(layer.answer.weight)[:, :, 0, 0], seen)
    expected = (x + 0.7 * answer).reshape(2, 32, 5, 7)
    np.testing.assert_allclose(numbers(layer(values)), expected, atol=1e-5)


def test_new_self_attention_changes_nothing(values: torch.Tensor) -> None:
    torch.testing.assert_close(SelfAttention2d(32)(values), values, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [SqueezeExcite, ChannelAttention, CBAM, SelfAttention2d])
def test_gradient_reaches_every_weight(kind: type[torch.nn.Module], values: torch.Tensor) -> None:
    layer = kind(32)
    if isinstance(layer, SelfAttention2d):
        with torch.no_grad():
            layer.share.fill_(1)
    layer(values).square().sum().backward()
    for name, weight in layer.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", [SqueezeExcite, CBAM, SelfAttention2d])
def test_in_bfloat16_it_is_nearly_the_same(
    kind: type[torch.nn.Module], values: torch.Tensor
) -> None:
    layer = kind(32)
    ordered = values.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(ordered).float()
    torch.testing.assert_close(found, layer(values), rtol=0.05, atol=0.05)
