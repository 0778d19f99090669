"""The convolutions that nets are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn import functional

from eyevsai_torch.batchnorm import BatchNorm2d

if TYPE_CHECKING:
    import torch

__all__ = ["ResidualBlock", "conv_norm", "conv_norm_relu", "initialise", "strided_stem"]


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size, or halves it, and batch norm; no bias between."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, BatchNorm2d(outputs))


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Return `conv_norm` with a rectifier after it."""
    return nn.Sequential(*conv_norm(inputs, outputs, kernel, stride), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to what came in (He et al. 2016, figure 2).

    Where size or channels change, what came in is averaged (He, T. et al. 2019, ResNet-D) and
    multiplied by a 1x1 convolution. `attention` weighs the result before it is added.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, *, attention: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.first = conv_norm_relu(inputs, outputs, stride=stride)
        self.second = conv_norm(outputs, outputs)
        self.attention = attention or nn.Identity()
        self.shortcut = nn.Sequential()
        if stride > 1:
            # An odd side keeps its last row: as many places as the strided convolution has.
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            self.shortcut.extend(conv_norm(inputs, outputs, 1))

    @property
    def last_norm(self) -> BatchNorm2d:
        """The norm whose scale decides how much the block adds."""
        norm: Any = self.second[1]
        found: BatchNorm2d = norm
        return found

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Take (n, inputs, height, width), return (n, outputs, height / stride, ...)."""
        correction = self.attention(self.second(self.first(values)))
        return functional.relu(self.shortcut(values) + correction)


def strided_stem(halvings: int, outputs: int) -> nn.Sequential:
    """Return the first convolution, and strided ones before it that halve the size.

    The first of several has half the channels: at the full size they would cost the most.
    """
    stem = nn.Sequential()
    channels = 3
    for _ in range(halvings):
        stem.extend(conv_norm_relu(channels, max(outputs // 2, 8), stride=2))
        channels = max(outputs // 2, 8)
    return stem.extend(conv_norm_relu(channels, outputs))


def initialise(net: nn.Module) -> None:
    """Draw the weights: He et al. 2015 for convolutions before rectifiers.

    The last norm of each residual block begins at 0 (Goyal et al. 2017, section 5.1), so that the
    block begins as its shortcut; the last layer begins small, so that all classes are alike.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for module in net.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.last_norm.weight)
