"""The nets of `deep-v1`: four blocks of convolutions, plain or residual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from eyevsai_torch.layers import ResidualBlock, conv_norm_relu, strided_stem
from eyevsai_torch.staged import StagedNet, halvings

if TYPE_CHECKING:
    from eyevsai_deep_v1.config import DeepV1Config

__all__ = ["build_net"]

_BLOCKS = 4


def build_net(config: DeepV1Config, *, n_classes: int, image_size: int) -> StagedNet:
    """Build a net of four blocks, each with twice the channels of the one before.

    ``standard``: two 3x3 convolutions a block, max pooling between blocks (Simonyan & Zisserman
    2015, with batch norm). ``residual``: the same two convolutions, added to what came in (He et
    al. 2016). Takes float (n, 3, image_size, image_size), returns scores (n, n_classes).
    """
    in_stem, strides = halvings(image_size, _BLOCKS)
    width = config.width or 1
    widths = [width * 2**block for block in range(_BLOCKS)]
    if config.block == "residual":
        stem = strided_stem(in_stem, width)
        inputs = [width, *widths]
        stages: list[nn.Module] = [
            ResidualBlock(before, after, stride)
            for before, after, stride in zip(inputs, widths, strides, strict=False)
        ]
    else:
        stem = strided_stem(in_stem - 1, width) if in_stem else nn.Sequential()
        inputs = [width if in_stem else 3, *widths]
        pools = [2 if in_stem else 1, *strides[1:]]
        stages = [
            _plain_block(before, after, pool)
            for before, after, pool in zip(inputs, widths, pools, strict=False)
        ]
    return StagedNet(stem, stages, channels=widths[-1], n_classes=n_classes, dropout=config.dropout)


def _plain_block(inputs: int, outputs: int, pool: int) -> nn.Sequential:
    block = nn.Sequential()
    if pool > 1:
        block.append(nn.MaxPool2d(pool, ceil_mode=True))
    return block.extend([*conv_norm_relu(inputs, outputs), *conv_norm_relu(outputs, outputs)])
