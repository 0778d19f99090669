"""Optimizers by name, with weight decay where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from eyevsai_torch.config import TorchConfig

__all__ = ["make_optimizer", "set_rates"]

_SECOND_MOMENT = 0.999


def make_optimizer(config: TorchConfig, net: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a resolved config over what `net` may learn.

    ``sgd`` with Nesterov's momentum (Sutskever et al. 2013), ``adam`` (Kingma & Ba 2015), or
    ``adamw`` with decoupled decay (Loshchilov & Hutter 2019). Biases and the scales of norms,
    which have one dimension, do not decay.
    """
    learning = [weight for weight in net.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in learning if w.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [w for w in learning if w.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate = config.learning_rate or 0.0
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=config.momentum, nesterov=config.momentum > 0)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, rate, betas=(config.momentum, _SECOND_MOMENT))


def set_rates(optimizer: torch.optim.Optimizer, rate: float, momentum: float) -> None:
    """Set the learning rate and the momentum, or first moment, of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group["momentum"]:
            group["momentum"] = momentum
