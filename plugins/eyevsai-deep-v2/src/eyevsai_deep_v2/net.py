"""The nets of `deep-v2`: residual, dense, and residual first and dense after, with attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eyevsai_deep_v2.stages import dense_stage, finished, residual_stage
from eyevsai_torch.layers import strided_stem
from eyevsai_torch.staged import StagedNet, halvings

if TYPE_CHECKING:
    from torch import nn

    from eyevsai_deep_v2.config import DeepV2Config

__all__ = ["build_net"]

_STAGES = 4
_RESIDUAL = {"resnet": 4, "hybrid": 2, "densenet": 0}
_LAYERS = 4  # dense layers for each residual block
# Of the head's dropout, after each stage: it rises towards the head, as features become specific.
_DROPOUT = (0.0, 0.0, 0.25, 0.5)


def build_net(config: DeepV2Config, *, n_classes: int, image_size: int) -> StagedNet:
    """Build a net of four stages, each with twice the channels of the one before.

    ``resnet``: residual blocks with squeeze-and-excitation. ``densenet``: dense layers.
    ``hybrid``: two residual stages, then two dense ones. CBAM ends every stage, self-attention
    the last one if it is wanted. Takes float (n, 3, image_size, image_size), returns scores
    (n, n_classes).
    """
    in_stem, strides = halvings(image_size, _STAGES)
    width = config.width or 1
    widths = [width * 2**stage for stage in range(_STAGES)]
    inputs = [width, *widths]
    stages: list[nn.Module] = []
    for number, (before, after, stride) in enumerate(zip(inputs, widths, strides, strict=False)):
        if number < _RESIDUAL[config.net]:
            stage = residual_stage(before, after, stride=stride, depth=config.depth)
        else:
            stage = dense_stage(before, after, stride=stride, layers=_LAYERS * config.depth)
        stages.append(
            finished(
                stage,
                after,
                dropout=config.dropout * _DROPOUT[number],
                self_attention=config.self_attention and number == _STAGES - 1,
            )
        )
    return StagedNet(
        strided_stem(in_stem, width),
        stages,
        channels=widths[-1],
        n_classes=n_classes,
        dropout=config.dropout,
    )
