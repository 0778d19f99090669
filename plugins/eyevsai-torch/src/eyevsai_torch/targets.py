"""Targets: what a net should answer, how classes are weighted, and how wrong an answer is."""

from __future__ import annotations

import torch
from torch.nn import functional

from eyevsai_core.errors import ConfigError
from eyevsai_torch.augment import mix

__all__ = ["class_weights", "loss_sum", "soft_targets"]

_KINDS = ("none", "balanced")


def soft_targets(
    labels: torch.Tensor,
    n_classes: int,
    *,
    smoothing: float = 0.0,
    lam: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the probabilities that a net should give, float32 (n, n_classes), rows sum to 1.

    `labels` is int64 (n,), 0 to n_classes - 1. `smoothing`, 0..1, is the probability that is
    spread over all classes, the right one included (Szegedy et al. 2016, section 7). `lam`,
    float32 (n,), is mixup's share of each picture in itself (see `draw_mixup`); the rest goes to
    the targets of its neighbour (Zhang et al. 2018).
    """
    rows = torch.full(
        (len(labels), n_classes), smoothing / n_classes, dtype=torch.float32, device=labels.device
    )
    rows.scatter_(1, labels[:, None], 1 - smoothing + smoothing / n_classes)
    return rows if lam is None else mix(rows, lam)


def class_weights(labels: torch.Tensor, n_classes: int, kind: str = "none") -> torch.Tensor | None:
    """Return what a picture of each class counts, float32 (n_classes,), or None for alike.

    ``balanced`` is n / (n_classes * count): all classes together count alike, and the mean over
    the pictures is 1 if each class has some; a class without pictures has weight 0. `labels`,
    int64 (n,), are those of all training pictures. Raises `ConfigError` for another `kind`.
    """
    if kind not in _KINDS:
        raise ConfigError(
            f"class weights must be one of {', '.join(_KINDS)}, but got {kind!r}; choose one"
        )
    if kind == "none":
        return None
    counts = torch.bincount(labels, minlength=n_classes).double()
    balanced = len(labels) / (n_classes * counts.clamp(min=1))
    return torch.where(counts > 0, balanced, 0.0).float()


def loss_sum(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of weighted cross entropies and the sum of weights, float32 scalars.

    `logits` is floating (n, n_classes), `targets` float32 (n, n_classes) with rows that sum to
    1, `weights` float32 (n_classes,). A picture's weight is the mean of its classes' weights,
    weighted by its targets; None weighs all by 1. The loss of a batch is the first sum over all
    its parts, divided by the second sum over all its parts, however it is cut.

    With plain labels, and with smoothing but no weights, that is `torch.nn.functional
    .cross_entropy`. With both, PyTorch weights each term of a smoothed target by its own class
    and divides by the weights of the unsmoothed labels; here the whole entropy of a picture has
    one weight, and the result is a true mean, also where mixup leaves no single label.
    """
    entropies = -(targets * functional.log_softmax(logits.float(), dim=1)).sum(1)
    if weights is None:
        return entropies.sum(), entropies.new_full((), len(entropies))
    # Not a matrix product: autocast would round the weights to bf16.
    shares = (targets * weights).sum(1)
    return (entropies * shares).sum(), shares.sum()
