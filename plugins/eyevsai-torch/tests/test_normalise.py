from __future__ import annotations

import numpy as np
import torch
from torch import nn

from eyevsai_torch.normalise import NormalisedNet, pixel_statistics


def test_statistics_are_those_of_the_channels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    mean, std = pixel_statistics(images)
    pixels = images.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), pixels.std(0), rtol=1e-6)
    assert mean.dtype is std.dtype is torch.float32


def test_of_many_pictures_some_are_looked_at() -> None:
    images = np.zeros((100, 4, 4, 3), np.uint8)
    images[::10] = 100
    mean, _ = pixel_statistics(images, n=10)
    np.testing.assert_array_equal(mean.numpy(), [100, 100, 100])


def test_a_channel_that_does_not_vary_is_only_moved() -> None:
    _, std = pixel_statistics(np.full((3, 4, 4, 3), 7, np.uint8))
    np.testing.assert_array_equal(std.numpy(), [1, 1, 1])


def test_the_net_sees_normalised_pixels() -> None:
    net = NormalisedNet(nn.Identity(), torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 4, 8]))
    pixels = torch.rand(2, 3, 4, 4) * 255
    expected = (pixels.numpy() - np.reshape([1, 2, 3], (3, 1, 1))) / np.reshape(
        [2, 4, 8], (3, 1, 1)
    )
    np.testing.assert_allclose(net(pixels).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert set(net.state_dict()) == {"mean", "std"}
