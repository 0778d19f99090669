"""Batch normalisation over all processes that train together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BatchNorm2d", "kept_statistics"]

_OTHER = (0, 2, 3)  # every dimension but the channels'
# Of the process: a GPU's backward pass, which computes activations again, has its own thread.
_kept: list[bool] = []


@contextmanager
def kept_statistics() -> Iterator[None]:
    """Leave the running statistics alone: the batch has been seen and is computed again."""
    _kept.append(True)
    try:
        yield
    finally:
        _kept.pop()


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm (Ioffe & Szegedy 2015) whose batch is that of all processes.

    Alone, it is `torch.nn.BatchNorm2d`. PyTorch's own `SyncBatchNorm` works on GPUs only; this
    one works wherever processes can add up tensors. Processes may have different numbers of
    pictures.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    momentum: float

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Normalise (n, channels, height, width)."""
        together = self.training and dist.is_available() and dist.is_initialized()
        if not together or dist.get_world_size() == 1:
            if _kept and self.training:
                # Copies are moved instead: what is computed again must save as many tensors.
                mean, variance = self.running_mean.clone(), self.running_var.clone()
                return functional.batch_norm(
                    values, mean, variance, self.weight, self.bias, training=True, eps=self.eps
                )
            return super().forward(values)
        apply: Any = _Normalised.apply
        normal, mean, variance, count = apply(values, self.weight, self.bias, self.eps)
        if not _kept:
            self._remember(mean, variance, count)
        result: torch.Tensor = normal
        return result

    @torch.no_grad()
    def _remember(self, mean: torch.Tensor, variance: torch.Tensor, count: torch.Tensor) -> None:
        unbiased = variance * (count / (count - 1).clamp_min(1))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked.add_(1)


class _Normalised(torch.autograd.Function):
    """Normalisation with the statistics of the batch over all processes, in float32."""

    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        real = values.float()
        size = real.new_full((1,), values.numel() / values.shape[1])
        sums = torch.cat([real.sum(_OTHER), size])
        dist.all_reduce(sums)
        count = sums[-1:]
        mean = sums[:-1] / count
        centred = real - _planes(mean)
        # In a second pass: the difference of two large sums would lose what is small.
        squares = (centred * centred).sum(_OTHER)
        dist.all_reduce(squares)
        variance = squares / count
        scale = torch.rsqrt(variance + eps)
        normal = centred * _planes(scale)
        ctx.save_for_backward(normal, weight, scale, count)
        ctx.mark_non_differentiable(mean, variance, count)
        result = normal * _planes(weight) + _planes(bias)
        return result.to(values.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        normal, weight, scale, count = ctx.saved_tensors
        gradient = gradients[0].float()
        of_bias, of_weight = gradient.sum(_OTHER), (gradient * normal).sum(_OTHER)
        # The weights' gradients stay those of this process: they are added up with all others.
        sums = torch.cat([of_bias, of_weight])
        dist.all_reduce(sums)
        mean_of_bias, mean_of_weight = (sums / count).chunk(2)
        of_values = (gradient - _planes(mean_of_bias) - normal * _planes(mean_of_weight)) * _planes(
            weight * scale
        )
        return of_values.to(gradients[0].dtype), of_weight, of_bias, None


def _planes(values: torch.Tensor) -> torch.Tensor:
    """Shape (channels,) as (1, channels, 1, 1)."""
    return values.reshape(1, -1, 1, 1)
