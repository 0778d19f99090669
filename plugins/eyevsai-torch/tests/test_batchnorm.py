"""Batch norm alone; over processes it is tested in test_distributed.py."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from eyevsai_torch.batchnorm import BatchNorm2d, _Normalised, kept_statistics


def values(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 3, 5, 5, generator=torch.Generator().manual_seed(n)) * 2 + 1


def test_alone_it_is_that_of_pytorch() -> None:
    mine, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    torch.testing.assert_close(mine(values()), theirs(values()), rtol=0, atol=0)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(mine.state_dict()[name], value, rtol=0, atol=0)


def test_formula() -> None:
    """Ioffe & Szegedy 2015, algorithm 1; the running variance is the unbiased one."""
    norm = BatchNorm2d(3)
    x = values().numpy().astype(np.float64)
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
    planes = (slice(None), None, None)
    expected = (x - mean[planes]) / np.sqrt(variance[planes] + norm.eps)
    np.testing.assert_allclose(norm(values()).detach().numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * mean, atol=1e-6)
    np.testing.assert_allclose(
        norm.running_var.numpy(), 0.9 + 0.1 * x.var((0, 2, 3), ddof=1), atol=1e-5
    )


def test_kept_statistics_stay() -> None:
    norm = BatchNorm2d(3)
    expected = BatchNorm2d(3)(values())
    with kept_statistics():
        torch.testing.assert_close(norm(values()), expected)
    assert norm.num_batches_tracked == 0
    assert norm.running_mean.abs().sum() == 0
    norm(values())
    assert norm.num_batches_tracked == 1


def test_what_processes_compute_is_the_gradient(monkeypatch: object) -> None:
    """The function for several processes, alone with itself, against finite differences."""
    pytest_patch = monkeypatch
    pytest_patch.setattr("torch.distributed.all_reduce", lambda _: None)  # type: ignore[attr-defined]
    x = values(2).double().requires_grad_(True)
    weight = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    bias = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    out, *_ = _Normalised.apply(x, weight, bias, 1e-5)
    target = torch.randn(out.shape, generator=torch.Generator().manual_seed(9))
    (out * target).sum().backward()
    y = values(2).clone().requires_grad_(True)
    other_weight, other_bias = (v.detach().clone().requires_grad_(True) for v in (weight, bias))
    expected = nn.functional.batch_norm(y, None, None, other_weight, other_bias, training=True)
    (expected * target).sum().backward()
    torch.testing.assert_close(out.float(), expected, rtol=1e-4, atol=1e-5)
    for mine, theirs in ((x, y), (weight, other_weight), (bias, other_bias)):
        torch.testing.assert_close(mine.grad.float(), theirs.grad, rtol=1e-3, atol=1e-4)
