"""Normalisation as the first layer of every net, so that it is part of whatever is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from eyevsai_torch.staged import StagedNet

__all__ = ["NormalisedNet", "in_memory", "pixel_statistics"]

_SAMPLE, _SMALLEST_STD = 10_000, 1.0


class NormalisedNet(nn.Module):
    """Pixels in, scores out: subtracts each channel's mean and divides by its deviation.

    Takes float (n, 3, size, size) of values 0-255; returns (n, n_classes).
    """

    net: StagedNet
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, net: StagedNet, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean.reshape(1, 3, 1, 1).float())
        self.register_buffer("std", std.reshape(1, 3, 1, 1).float())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        scores: torch.Tensor = self.net((pixels - self.mean) / self.std)
        return scores


def in_memory(net: NormalisedNet, order: torch.memory_format) -> NormalisedNet:
    """Return `net` with its weights in an order of memory, such as channels last."""
    ordered: NormalisedNet = net.to(memory_format=order)  # type: ignore[call-overload]
    return ordered


def pixel_statistics(
    images: npt.NDArray[np.uint8], n: int = _SAMPLE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation of red, green and blue, float32 (3,) each.

    `images` is uint8 (n, size, size, 3); of many, `n` are looked at, evenly spread. Sums of
    integers, so that the result is the same on every machine. A channel that hardly varies has
    a deviation of 1.
    """
    step = -(-len(images) // n)
    total = torch.zeros(3, dtype=torch.int64)
    squares = torch.zeros(3, dtype=torch.int64)
    count = 0
    for start in range(0, len(images), step * 256):
        part = torch.from_numpy(images[start : start + step * 256 : step].reshape(-1, 3).copy())
        pixels = part.to(torch.int64)
        total += pixels.sum(0)
        squares += (pixels * pixels).sum(0)
        count += len(pixels)
    mean = total.double() / count
    std = (squares.double() / count - mean * mean).clamp_min(0).sqrt()
    return mean.float(), std.clamp_min(_SMALLEST_STD).float()
