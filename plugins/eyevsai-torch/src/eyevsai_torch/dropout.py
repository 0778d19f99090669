"""Dropout whose masks belong to a step, not to a process or a part of a batch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Dropout", "dropout_rows", "number_dropouts"]

_STRIDE = 0x9E3779B97F4A7C15  # an odd number far from regular: the golden ratio of 2**64
_SEEDS = 2**63


@dataclass(frozen=True, slots=True)
class _Rows:
    seed: int
    start: int
    stop: int
    total: int


# Of the process, not of the thread: the backward pass on a GPU runs in a thread of its own and,
# where activations are computed twice, has to drop what the forward pass dropped.
_current: list[_Rows] = []


@contextmanager
def dropout_rows(seed: int, start: int, stop: int, total: int) -> Iterator[None]:
    """Let every `Dropout` drop what rows `start` to `stop` of a batch of `total` would lose.

    The masks are drawn for the whole batch from `seed`, so it does not matter in how many parts
    or processes the batch is worked through.
    """
    _current.append(_Rows(seed, start, stop, total))
    try:
        yield
    finally:
        _current.pop()


def number_dropouts(net: nn.Module) -> None:
    """Give every `Dropout` of a net a number, so that each draws its own mask in a step."""
    layers = [module for module in net.modules() if isinstance(module, Dropout)]
    for number, layer in enumerate(layers):
        layer.number = number


class Dropout(nn.Module):
    """Dropout of whole channels (Srivastava et al. 2014; Tompson et al. 2015).

    Takes (n, c) or (n, c, height, width); each of the n x c values or planes is 0 with
    probability `p`, the others are divided by 1 - p. Without `dropout_rows` it draws from
    PyTorch's own generator, as `torch.nn.Dropout` does.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.number = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the values that are left in training, all of them otherwise."""
        if not self.training or self.p == 0:
            return values
        left: torch.Tensor = values * self._mask(values)
        return left

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"p={self.p}"

    # A compiled net draws its masks outside of the compiled code.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _mask(self, values: torch.Tensor) -> torch.Tensor:
        n, channels = values.shape[:2]
        if _current:
            rows = _current[-1]
            dice = torch.Generator().manual_seed((rows.seed + self.number * _STRIDE) % _SEEDS)
            drawn = torch.rand((rows.total, channels), generator=dice)[rows.start : rows.stop]
        else:
            drawn = torch.rand((n, channels))
        mask = (drawn >= self.p).to(values.device, values.dtype, non_blocking=True) / (1 - self.p)
        return mask.reshape(n, channels, *[1] * (values.ndim - 2))
