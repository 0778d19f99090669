"""Targets, class weights and the loss: against numpy, PyTorch and scikit-learn."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from eyevsai_core.errors import ConfigError
from eyevsai_torch.augment import draw_mixup
from eyevsai_torch.targets import class_weights, loss_sum, soft_targets

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.float64]

CLASSES = 5
WEIGHTS = torch.tensor([0.2, 1.0, 3.0, 0.7, 1.1])


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def labels(n: int) -> torch.Tensor:
    return torch.randint(CLASSES, (n,), generator=dice(n))


def logits(n: int) -> torch.Tensor:
    return torch.randn(n, CLASSES, generator=dice(n + 1)) * 3


def entropies(scores: torch.Tensor, targets: Rows) -> Rows:
    powers = np.exp(scores.double().numpy())
    return np.asarray(-(targets * np.log(powers / powers.sum(1, keepdims=True))).sum(1))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_targets_are_smoothed(smoothing: float) -> None:
    found = soft_targets(labels(8), CLASSES, smoothing=smoothing)
    wanted = (1 - smoothing) * np.eye(CLASSES)[labels(8)] + smoothing / CLASSES
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - wanted).max() < 1e-7


@pytest.mark.parametrize("n", [6, 7])
def test_targets_are_mixed_with_the_neighbours(n: int) -> None:
    shares = draw_mixup(0.4, n, dice())
    found = soft_targets(labels(n), CLASSES, smoothing=0.1, lam=shares)
    plain = 0.9 * np.eye(CLASSES)[labels(n)] + 0.1 / CLASSES
    for row in range(n):
        share = float(shares[row])
        wanted = share * plain[row] + (1 - share) * plain[min(row ^ 1, n - 1)]
        assert np.abs(found[row].numpy() - wanted).max() < 1e-6
    assert torch.allclose(found.sum(1), torch.ones(n))


def test_no_labels_have_no_targets() -> None:
    assert soft_targets(labels(0), CLASSES).shape == (0, CLASSES)


def test_balanced_weights_equal_scikit_learn() -> None:
    found = class_weights(labels(50), CLASSES, "balanced")
    assert found is not None
    assert found.dtype == torch.float32
    wanted = compute_class_weight("balanced", classes=np.arange(CLASSES), y=labels(50).numpy())
    assert found.numpy() == pytest.approx(wanted, rel=1e-6)
    assert float(found[labels(50)].mean()) == pytest.approx(1)


def test_a_class_without_pictures_weighs_nothing() -> None:
    found = class_weights(torch.tensor([0, 0, 0, 2]), 4, "balanced")
    assert found is not None
    assert found.tolist() == pytest.approx([4 / (4 * 3), 0, 4 / 4, 0])


def test_weights_may_be_none() -> None:
    assert class_weights(labels(5), CLASSES, "none") is None
    assert class_weights(labels(5), CLASSES) is None


def test_other_weights_are_refused() -> None:
    message = "class weights must be one of none, balanced, but got 'fair'; choose one"
    with pytest.raises(ConfigError, match=message):
        class_weights(labels(5), CLASSES, "fair")


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("alpha", [None, 0.4])
def test_the_sums_equal_numpy(
    weights: torch.Tensor | None, smoothing: float, alpha: float | None
) -> None:
    shares = None if alpha is None else draw_mixup(alpha, 9, dice())
    targets = soft_targets(labels(9), CLASSES, smoothing=smoothing, lam=shares)
    loss, weight = loss_sum(logits(9), targets, weights)
    exact = targets.double().numpy()
    each = exact @ (np.ones(CLASSES) if weights is None else weights.double().numpy())
    assert loss.dtype == weight.dtype == torch.float32
    assert loss.shape == weight.shape == ()
    assert float(loss) == pytest.approx((each * entropies(logits(9), exact)).sum(), rel=1e-5)
    assert float(weight) == pytest.approx(each.sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "smoothing"),
    [(None, 0.0), (WEIGHTS, 0.0), (None, 0.1)],
    ids=["plain", "weighted", "smoothed"],
)
def test_the_loss_equals_pytorch(weights: torch.Tensor | None, smoothing: float) -> None:
    loss, weight = loss_sum(
        logits(40), soft_targets(labels(40), CLASSES, smoothing=smoothing), weights
    )
    wanted = functional.cross_entropy(
        logits(40), labels(40), weight=weights, label_smoothing=smoothing
    )
    assert float(loss / weight) == pytest.approx(float(wanted), rel=1e-5)


def test_smoothed_and_weighted_is_a_true_mean_where_pytorch_has_none() -> None:
    # Even scores are equally wrong about every class: each picture's loss is log(5).
    targets = soft_targets(labels(40), CLASSES, smoothing=0.5)
    loss, weight = loss_sum(torch.zeros(40, CLASSES), targets, WEIGHTS)
    assert float(loss / weight) == pytest.approx(np.log(5), rel=1e-5)
    theirs = functional.cross_entropy(
        torch.zeros(40, CLASSES), labels(40), weight=WEIGHTS, label_smoothing=0.5
    )
    assert abs(float(theirs) - np.log(5)) > 0.01


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mixup_loss_is_the_mixed_losses(smoothing: float) -> None:
    shares = draw_mixup(0.4, 8, dice())
    mixed, _ = loss_sum(
        logits(8), soft_targets(labels(8), CLASSES, smoothing=smoothing, lam=shares)
    )
    partners = labels(8).view(-1, 2).flip(1).view(-1)
    own, other = (
        functional.cross_entropy(logits(8), of, reduction="none", label_smoothing=smoothing)
        for of in (labels(8), partners)
    )
    assert float(mixed) == pytest.approx(float((shares * own + (1 - shares) * other).sum()))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("cuts", [[0, 20, 21], [0, 2, 12, 16, 21]], ids=str)
def test_unequal_parts_have_the_gradient_of_the_whole(
    weights: torch.Tensor | None, cuts: list[int]
) -> None:
    shares = draw_mixup(0.4, 21, dice())
    targets = soft_targets(labels(21), CLASSES, smoothing=0.1, lam=shares)
    pictures = torch.randn(21, 7, generator=dice())
    net = torch.randn(7, CLASSES, generator=dice(1)).requires_grad_()
    bias = torch.zeros(CLASSES).requires_grad_()
    parameters = [net, bias]
    loss, weight = loss_sum(pictures @ net + bias, targets, weights)
    whole = torch.autograd.grad(loss / weight, parameters)
    added = [torch.zeros_like(value) for value in parameters]
    total = 0.0
    for start, stop in pairwise(cuts):
        part = slice(start, stop)
        loss, of_part = loss_sum(pictures[part] @ net + bias, targets[part], weights)
        of_parameters = torch.autograd.grad(loss / weight, parameters)
        added = [sums + more for sums, more in zip(added, of_parameters, strict=True)]
        total += float(of_part)
    assert total == pytest.approx(float(weight), rel=1e-6)
    for sums, wanted in zip(added, whole, strict=True):
        assert float((sums - wanted).abs().max()) <= 4e-7 * float(wanted.abs().max())


def test_half_precision_is_summed_in_single() -> None:
    targets = soft_targets(labels(600), CLASSES)
    with torch.autocast("cpu", torch.bfloat16):
        loss, weight = loss_sum(logits(600).bfloat16(), targets, WEIGHTS)
    assert loss.dtype == weight.dtype == torch.float32
    each = targets.double().numpy() @ WEIGHTS.double().numpy()
    wanted = each * entropies(logits(600).bfloat16(), targets.double().numpy())
    assert float(loss) == pytest.approx(wanted.sum(), rel=1e-5)
    assert float(weight) == pytest.approx(each.sum(), rel=1e-6)
