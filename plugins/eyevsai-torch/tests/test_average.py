from __future__ import annotations

import torch
from torch import nn

from eyevsai_torch.average import MovingAverage


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_average_is_the_formula() -> None:
    module = net()
    average = MovingAverage(module, 0.9, 10_000)
    expected = module[0].weight.detach().clone()
    for step in range(30):
        with torch.no_grad():
            module[0].weight.add_(0.1)
            module[1].running_mean.add_(1)
            module[1].num_batches_tracked.add_(1)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * module[0].weight.detach()
    torch.testing.assert_close(average.net[0].weight, expected)
    assert 0 < average.net[1].running_mean[0] < 30
    assert average.net[1].num_batches_tracked == 30


def test_short_runs_have_a_short_memory() -> None:
    assert MovingAverage(net(), 0.999, 100).decay == 0.9
    assert MovingAverage(net(), 0.999, 10**6).decay == 0.999
    assert MovingAverage(net(), 0.999, 5).decay == 0.0


def test_zero_keeps_the_weights() -> None:
    module = net()
    average = MovingAverage(module, 0.0, 1000)
    with torch.no_grad():
        module[0].weight.add_(1)
    average.update(500)
    torch.testing.assert_close(average.net[0].weight, module[0].weight.detach(), rtol=0, atol=0)


def test_average_does_not_learn_and_stays_in_evaluation() -> None:
    average = MovingAverage(net(), 0.9, 100)
    assert not average.net.training
    assert not any(weight.requires_grad for weight in average.net.parameters())
