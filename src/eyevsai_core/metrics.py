"""How good answers are: arrays in, numbers out, each with an interval.

Intervals are 95 % percentile bootstrap intervals over pictures (Efron 1979): with 80 test pictures
an accuracy of 0.70 is anything from 0.60 to 0.80, and a table that hides it misleads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]
    Probabilities = npt.NDArray[np.float32]

__all__ = [
    "ClassMetrics",
    "Interval",
    "ReliabilityBin",
    "bootstrap",
    "class_metrics",
    "confusion_matrix",
    "evaluate_probabilities",
    "expected_calibration_error",
    "reliability_bins",
]

BINS = 15
_RESAMPLES = 1000
_TOP = 5
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, its 95 % interval, and the number of pictures it rests on."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return ``0.713 (0.660-0.763)``."""
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """One class's precision, recall and F1, with the number of pictures that show it."""

    label: str
    precision: Interval
    recall: Interval
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Pictures whose confidence lies in [low, high): their mean confidence and accuracy."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def evaluate_probabilities(
    probabilities: Probabilities, labels: Labels, *, seed: int = 0
) -> dict[str, Interval]:
    """Return every headline metric of probabilities (n, n_classes) against labels (n,).

    ``accuracy``, ``balanced_accuracy`` (mean recall), ``top_5_accuracy`` where there are more
    than five classes, ``macro_f1``, ``log_loss`` (nats), ``brier`` (0-2) and ``ece`` (0-1).
    """
    n, n_classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    right = (predicted == labels).astype(np.float64)
    of_truth = probabilities[np.arange(n), labels].astype(np.float64)
    truth = np.eye(n_classes)[labels]
    per_picture = {
        "accuracy": right,
        "log_loss": -np.log(np.maximum(of_truth, _SMALLEST)),
        "brier": ((probabilities - truth) ** 2).sum(axis=1),
    }
    if n_classes > _TOP:
        rank = (probabilities > of_truth[:, None].astype(np.float32)).sum(axis=1)
        per_picture["top_5_accuracy"] = (rank < _TOP).astype(np.float64)
    found = {name: _mean_interval(values, seed) for name, values in per_picture.items()}
    confidence = probabilities.max(axis=1).astype(np.float64)
    pairs = {
        "ece": lambda i: _ece(confidence[i], right[i]),
        "balanced_accuracy": lambda i: _balanced(labels[i], predicted[i], n_classes),
        "macro_f1": lambda i: _macro_f1(labels[i], predicted[i], n_classes),
    }
    found |= {name: bootstrap(function, n, seed=seed) for name, function in pairs.items()}
    order = ["accuracy", "top_5_accuracy", "balanced_accuracy", "macro_f1"]
    order += ["log_loss", "brier", "ece"]
    return {name: found[name] for name in order if name in found}


def bootstrap(
    function: Callable[[Labels], float], n: int, *, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """Return `function` of all indices 0..n-1, with its interval over resampled indices."""
    dice = np.random.default_rng(seed)
    everything = np.arange(n)
    values = [function(dice.integers(0, n, n)) for _ in range(resamples)]
    low, high = np.percentile(values, [2.5, 97.5])
    value = float(function(everything))
    # A percentile interval of a biased statistic (ECE) can miss the value itself.
    return Interval(value, min(float(low), value), max(float(high), value), n)


def _mean_interval(values: Floats, seed: int) -> Interval:
    """Bootstrap a mean without a loop: in chunks, so that memory stays flat."""
    n = len(values)
    dice = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // n)
    means: list[float] = []
    while len(means) < _RESAMPLES:
        picks = dice.integers(0, n, (min(chunk, _RESAMPLES - len(means)), n))
        means.extend(values[picks].mean(axis=1).tolist())
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high), n)


def confusion_matrix(labels: Labels, predicted: Labels, n_classes: int) -> Labels:
    """Return counts, int64 (n_classes, n_classes): row is the truth, column the answer."""
    flat = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def reliability_bins(probabilities: Probabilities, labels: Labels) -> list[ReliabilityBin]:
    """Return the non-empty of 15 equal bins of confidence (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return [
        ReliabilityBin(
            k / BINS,
            (k + 1) / BINS,
            int((place == k).sum()),
            float(confidence[place == k].mean()),
            float(right[place == k].mean()),
        )
        for k in range(BINS)
        if (place == k).any()
    ]


def expected_calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean gap between confidence and accuracy over 15 bins (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    return _ece(confidence, (probabilities.argmax(axis=1) == labels).astype(np.float64))


def _ece(confidence: Floats, right: Floats) -> float:
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(place, right - confidence, BINS)
    return float(np.abs(gap).sum() / len(confidence))


def _recalls(labels: Labels, predicted: Labels, n_classes: int) -> tuple[Floats, Floats, Floats]:
    hits = np.bincount(labels[labels == predicted], minlength=n_classes).astype(np.float64)
    support = np.bincount(labels, minlength=n_classes).astype(np.float64)
    answers = np.bincount(predicted, minlength=n_classes).astype(np.float64)
    return hits, support, answers


def _balanced(labels: Labels, predicted: Labels, n_classes: int) -> float:
    hits, support, _ = _recalls(labels, predicted, n_classes)
    return float((hits[support > 0] / support[support > 0]).mean())


def _macro_f1(labels: Labels, predicted: Labels, n_classes: int) -> float:
    hits, support, answers = _recalls(labels, predicted, n_classes)
    seen = support + answers > 0
    return float((2 * hits[seen] / (support + answers)[seen]).mean())


def class_metrics(
    labels: Labels, predicted: Labels, classes: tuple[str, ...]
) -> list[ClassMetrics]:
    """Return precision, recall and F1 of each class; intervals are Wilson's (1927).

    Wilson's, because a class often has a handful of pictures, where the bootstrap of 5 of 5
    right answers would claim certainty.
    """
    hits, support, answers = _recalls(labels, predicted, len(classes))
    return [
        ClassMetrics(
            label=label,
            precision=_wilson(int(hits[i]), int(answers[i])),
            recall=_wilson(int(hits[i]), int(support[i])),
            f1=float(2 * hits[i] / max(support[i] + answers[i], 1)),
            support=int(support[i]),
        )
        for i, label in enumerate(classes)
    ]


def _wilson(hits: int, n: int) -> Interval:
    if n == 0:
        return Interval(0.0, 0.0, 1.0, 0)
    z = 1.959964
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Interval(p, float(max(centre - half, 0)), float(min(centre + half, 1)), n)
