from __future__ import annotations

import pytest
import torch
from torch import nn

from eyevsai_torch.config import TorchConfig
from eyevsai_torch.optimizer import make_optimizer, set_rates


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_optimizer_by_name(name: str, kind: type) -> None:
    config = TorchConfig(optimizer=name, learning_rate=0.01, weight_decay=0.125)
    made = make_optimizer(config, net())
    assert type(made) is kind
    assert made.param_groups[0]["lr"] == 0.01


def test_only_matrices_decay() -> None:
    made = make_optimizer(TorchConfig(weight_decay=0.125, learning_rate=0.1), net())
    decays = {w.ndim: group["weight_decay"] for group in made.param_groups for w in group["params"]}
    assert decays == {4: 0.125, 2: 0.125, 1: 0.0}


def test_what_is_frozen_is_left_out() -> None:
    frozen = net()
    frozen[0].requires_grad_(False)
    made = make_optimizer(TorchConfig(learning_rate=0.1), frozen)
    assert sum(len(group["params"]) for group in made.param_groups) == 4


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_rates_are_set(name: str) -> None:
    made = make_optimizer(TorchConfig(optimizer=name, learning_rate=0.1), net())
    set_rates(made, 0.5, 0.7)
    for group in made.param_groups:
        assert group["lr"] == 0.5
        assert (group["betas"][0] if name == "adamw" else group["momentum"]) == 0.7


def test_sgd_follows_nesterov() -> None:
    """Sutskever et al. 2013 as PyTorch writes it: g + m v, v = m v + g, and plain decay."""
    weight = nn.Parameter(torch.tensor([[1.0]]))
    module = nn.Module()
    module.weight = weight
    config = TorchConfig(learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    made = make_optimizer(config, module)
    expected, velocity = 1.0, 0.0
    for gradient in (0.5, -0.25, 1.0):
        weight.grad = torch.tensor([[gradient]])
        made.step()
        g = gradient + 0.01 * expected
        velocity = 0.9 * velocity + g if velocity else g
        expected -= 0.1 * (g + 0.9 * velocity)
    assert weight.item() == pytest.approx(expected, rel=1e-6)


def test_no_momentum_is_plain_descent() -> None:
    config = TorchConfig(learning_rate=0.1, momentum=0.0)
    made = make_optimizer(config, net())
    set_rates(made, 0.2, 0.0)
    assert not made.param_groups[0]["nesterov"]
