"""The stages that the nets of `deep-v2` are put together from."""

from __future__ import annotations

import torch
from torch import nn

from eyevsai_torch.attention import CBAM, SelfAttention2d, SqueezeExcite
from eyevsai_torch.batchnorm import BatchNorm2d
from eyevsai_torch.dropout import Dropout
from eyevsai_torch.layers import ResidualBlock

__all__ = ["DenseLayer", "dense_stage", "finished", "residual_stage"]

_BOTTLENECK = 4
_HEADS = 4


def residual_stage(inputs: int, outputs: int, *, stride: int, depth: int) -> nn.Sequential:
    """Return `depth` residual blocks with squeeze-and-excitation; the first halves the size."""
    sizes = [(inputs, stride), *[(outputs, 1)] * (depth - 1)]
    return nn.Sequential(
        *(
            ResidualBlock(before, outputs, step, attention=SqueezeExcite(outputs))
            for before, step in sizes
        )
    )


def dense_stage(inputs: int, outputs: int, *, stride: int, layers: int) -> nn.Sequential:
    """Return a transition and `layers` dense layers that end with `outputs` channels.

    The layers add half of these channels, each as many, at least 1. The transition (Huang et
    al. 2017, section 3) leaves the other half of what comes in, and averages neighbouring
    places where the size is to be halved.
    """
    layers = min(layers, outputs // 2)
    growth = outputs // (2 * layers)
    kept = outputs - growth * layers
    stage = nn.Sequential(
        BatchNorm2d(inputs), nn.ReLU(inplace=False), nn.Conv2d(inputs, kept, 1, bias=False)
    )
    if stride > 1:
        stage.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
    for layer in range(layers):
        stage.append(DenseLayer(kept + layer * growth, growth))
    return stage.extend([BatchNorm2d(outputs), nn.ReLU(inplace=True)])


class DenseLayer(nn.Module):
    """One layer of a dense block (Huang et al. 2017, section 3, DenseNet-B).

    Norm, rectifier and a 1x1 convolution to four times the growth, the same with a 3x3
    convolution to the growth; the result is put beside what came in: (n, inputs + growth, ...).
    """

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        hidden = min(_BOTTLENECK * growth, max(inputs, growth))
        self.narrow = nn.Sequential(
            BatchNorm2d(inputs),
            # Not in place: what comes in is also what goes out.
            nn.ReLU(),
            nn.Conv2d(inputs, hidden, 1, bias=False),
            BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
        )
        self.grow = nn.Conv2d(hidden, growth, 3, padding=1, bias=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return what came in with the new channels after it."""
        return torch.cat([values, self.grow(self.narrow(values))], dim=1)


def finished(
    stage: nn.Sequential, channels: int, *, dropout: float, self_attention: bool
) -> nn.Sequential:
    """Return a stage with CBAM after it, then self-attention if wanted, then dropout."""
    stage.append(CBAM(channels))
    if self_attention:
        stage.append(SelfAttention2d(channels, _HEADS))
    if dropout:
        stage.append(Dropout(dropout))
    return stage
