"""A moving average of a net's weights: what is evaluated and kept."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MovingAverage"]

_SHARE = 10  # its memory is at most a tenth of the run


class MovingAverage:
    """Exponential moving average of weights and statistics (Polyak & Juditsky 1992).

    The decay rises with the steps, (1 + t) / (10 + t), up to `decay` or to what remembers a
    tenth of `total` steps, whichever is less: a short run would otherwise end with weights of
    its first half. A decay of 0 keeps the weights as they are.
    """

    def __init__(self, net: nn.Module, decay: float, total: int) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)  # noqa: FBT003  PyTorch's
        self.decay = min(decay, max(1 - _SHARE / total, 0.0)) if decay else 0.0
        mine, theirs = self.net.state_dict(), net.state_dict()
        real = [name for name, value in mine.items() if value.is_floating_point()]
        self._mine, self._theirs = [mine[n] for n in real], [theirs[n] for n in real]
        counts = [name for name in mine if name not in set(real)]
        self._counts = [(mine[name], theirs[name]) for name in counts]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        for mine, theirs in self._counts:
            mine.copy_(theirs)
