"""StagedNet: a stem, stages that halve the size, and a head."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Self

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from eyevsai_core.errors import ConfigError
from eyevsai_torch.batchnorm import kept_statistics
from eyevsai_torch.dropout import Dropout, number_dropouts
from eyevsai_torch.layers import initialise

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StagedNet", "halvings"]

_LEAST_SIDE, _STEM = 4, 2
_HEAD_STD = 0.01


def halvings(image_size: int, stages: int) -> tuple[int, tuple[int, ...]]:
    """Return how often the stem halves the size, and the stride of each stage.

    The size is halved while at least 4 x 4 places are left; between stages first, from the
    second on, and up to twice in the stem before: 32 pixels become 32, 16, 8, 4 in four stages,
    224 become 56, 28, 14, 7.
    """
    side, count = image_size, 0
    while (side + 1) // 2 >= _LEAST_SIDE:
        side, count = (side + 1) // 2, count + 1
    between = min(count, stages - 1)
    strides = (1, *(2 if stage <= between else 1 for stage in range(1, stages)))
    return min(count - between, _STEM), strides


class StagedNet(nn.Module):
    """Float (n, 3, size, size) to scores (n, n_classes).

    Global average pooling and dropout come between the last stage and the last layer, ``head``.
    With ``checkpointed``, training keeps only what goes from stage to stage, and computes the
    rest again in the backward pass (Chen et al. 2016): less memory, a third more time.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        *,
        channels: int,
        n_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(channels, n_classes)
        self.checkpointed = False
        self.frozen = 0
        initialise(self)
        nn.init.normal_(self.head.weight, std=_HEAD_STD)
        nn.init.zeros_(self.head.bias)
        number_dropouts(self)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        scores: torch.Tensor = self.head(self.dropout(self.features(values)))
        return scores

    def features(self, values: torch.Tensor) -> torch.Tensor:
        """Return the means of the last stage's channels, (n, channels)."""
        values = self.stem(values)
        for stage in self.stages:
            if self.checkpointed and self.training:
                # Dropout draws the same masks again by itself; batch norm must not count twice.
                values = checkpoint(
                    stage,
                    values,
                    use_reentrant=False,
                    preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), kept_statistics()),
                )
            else:
                values = stage(values)
        return functional.adaptive_avg_pool2d(values, 1).flatten(1)

    def freeze(self, n_stages: int) -> None:
        """Keep the weights and statistics of the stem and of the first `n_stages` stages.

        Raises `ConfigError` when there are not so many.
        """
        if n_stages > len(self.stages):
            raise ConfigError(
                f"option 'freeze' must be at most {len(self.stages)}, the stages of this net, but "
                f"got {n_stages}"
            )
        self.frozen = n_stages
        for module in self._kept():
            module.requires_grad_(False)  # noqa: FBT003  PyTorch's
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002  PyTorch's signature
        """Set training mode, but for what is frozen: its statistics must not move."""
        super().train(mode)
        for module in self._kept():
            module.eval()
        return self

    def _kept(self) -> list[nn.Module]:
        return [self.stem, *self.stages[: self.frozen]] if self.frozen else []
