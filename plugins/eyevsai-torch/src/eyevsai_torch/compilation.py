"""`torch.compile` as an option that never costs the run."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

    from eyevsai_core.family import FitContext
    from eyevsai_torch.device import Precision

__all__ = ["compiled"]

_LEVELS = 256
_TOLERANCE = 0.05  # of the scores' range: bf16 rounds in another order


class _DifferentError(RuntimeError):
    """The compiled net computes something else."""


def compiled(
    net: nn.Module, precision: Precision, shape: tuple[int, int, int, int], context: FitContext
) -> nn.Module:
    """Return `net` compiled for inputs of a shape (n, 3, size, size); `net` if that fails here.

    PyTorch compiles when the module first runs: here, on noise, forward and backward, and what
    comes out is compared with what `net` itself computes. Why it failed, such as a missing C++
    compiler, is noted in the context. The weights and statistics of `net` are as before.
    """
    candidate: Any = torch.compile(net, dynamic=False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    try:
        dice = torch.Generator().manual_seed(0)
        noise = torch.rand(shape, generator=dice) * _LEVELS
        example = noise.to(precision.device).contiguous(memory_format=torch.channels_last)
        _compare(candidate, copy.deepcopy(net), example, precision)
    except (RuntimeError, ImportError, OSError, NotImplementedError) as error:
        torch.compiler.reset()
        reason = str(error).strip().partition("\n")[0]
        context.note(f"not compiled, which changes speed only: {type(error).__name__}: {reason}")
        candidate = net
    net.zero_grad(set_to_none=True)
    net.load_state_dict(before)
    module: nn.Module = candidate
    return module


def _compare(
    candidate: nn.Module, net: nn.Module, example: torch.Tensor, precision: Precision
) -> None:
    """Raise `RuntimeError` unless both give the same scores, and gradients that are numbers.

    Both drop the same features.
    """
    found = []
    for module in (candidate, net):
        with torch.random.fork_rng(devices=[]), precision.autocast():
            torch.manual_seed(0)
            scores = module(example)
        scores.float().sum().backward()
        found.append(scores.detach().float())
    limit = _TOLERANCE * (float(found[1].abs().max()) + 1)
    difference = float((found[0] - found[1]).abs().max())
    if not difference <= limit:
        raise _DifferentError(
            f"its scores differ by {difference:.3g} from those of the net as it is"
        )
    learned = [weight.grad for weight in candidate.parameters() if weight.grad is not None]
    if not all(gradient.isfinite().all() for gradient in learned):
        raise _DifferentError("its gradients are not numbers")
