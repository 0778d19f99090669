"""How good answers are: arrays in, numbers out, each with an interval.

Intervals are 95 % percentile bootstrap intervals over pictures (Efron 1979): with 80 test pictures
an accuracy of 0.70 is anything from 0.60 to 0.80, and a table that hides it misleads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eyevsai_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]
    Probabilities = npt.NDArray[np.float32]

__all__ = [
    "ClassMetrics",
    "Interval",
    "ReliabilityBin",
    "SelectivePoint",
    "bootstrap",
    "class_metrics",
    "confusion_matrix",
    "evaluate_probabilities",
    "expected_calibration_error",
    "reliability_bins",
    "selective_accuracy",
    "top_k_accuracy",
    "wilson_interval",
]

BINS = 15
_RESAMPLES = 1000
_CHUNK = 2_000_000  # weights in memory at once: 16 MB
_TOP = 5
_SMALLEST = 1e-12
_Z = 1.959964  # the normal distribution's 97.5 % point
# Of pictures that are all right (or all wrong) every resample is too: the bootstrap would claim
# certainty. These metrics take Wilson's interval there.
_SHARES = ("accuracy", "top_5_accuracy", "balanced_accuracy", "macro_f1")
THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95)


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


@dataclass(frozen=True, slots=True)
class SelectivePoint:
    """What is left when only answers of at least `threshold` confidence count."""

    threshold: float
    answered: int
    accuracy: Interval


def evaluate_probabilities(
    probabilities: Probabilities, labels: Labels, *, seed: int = 0
) -> dict[str, Interval]:
    """Return every headline metric of probabilities (n, n_classes) against labels (n,).

    ``accuracy``, ``balanced_accuracy`` (mean recall), ``top_5_accuracy`` where there are more
    than five classes, ``macro_f1``, ``log_loss`` (nats), ``brier`` (0-2) and ``ece`` (0-1).
    Recall and F1 are means over the classes that are present in `labels`: data that lack some of
    the model's classes are not counted as failing at them. An answer of an absent class still
    counts, as a miss of the class that was shown.
    Raises `DatasetError` when there is no picture, or a label that has no column.
    """
    _check(probabilities, labels)
    n, n_classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    gaps = right - probabilities.max(axis=1).astype(np.float64)
    by_truth, by_answer = _summing(labels, n_classes), _summing(predicted, n_classes)
    by_bin = _summing(_bins(probabilities), BINS)
    per_picture = _per_picture(probabilities, labels)
    values = np.stack(list(per_picture.values()), axis=1)
    rows = []
    # All metrics of a resample are sums over its pictures, weighted by how often each was drawn.
    for weights in [np.ones((1, n)), *_resamples(n, seed)]:
        hits, support, answers = by_truth(weights * right), by_truth(weights), by_answer(weights)
        rows.append(
            np.column_stack(
                [
                    weights @ values / n,
                    _balanced(hits, support),
                    _macro_f1(hits, support, answers),
                    np.abs(by_bin(weights * gaps)).sum(axis=1) / n,
                ]
            )
        )
    names = [*per_picture, "balanced_accuracy", "macro_f1", "ece"]
    table = dict(zip(names, np.concatenate(rows).T, strict=True))
    order = [*_SHARES, "log_loss", "brier", "ece"]
    found = {name: _interval(table[name][0], table[name][1:], n) for name in order if name in table}
    for name in found.keys() & _SHARES:
        if found[name].value in (0, 1):
            found[name] = wilson_interval(round(found[name].value) * n, n)
    return found


def _check(probabilities: Probabilities, labels: Labels) -> None:
    if probabilities.ndim != 2 or probabilities.shape[:1] != labels.shape or not labels.size:  # noqa: PLR2004  a matrix
        raise DatasetError(
            "metrics need probabilities (n, n_classes) and labels (n,) of at least one picture, "
            f"but got shapes {probabilities.shape} and {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise DatasetError(
            f"labels must be column numbers from 0 to {probabilities.shape[1] - 1}, but got "
            f"{int(labels.min())} to {int(labels.max())}"
        )


def _per_picture(probabilities: Probabilities, labels: Labels) -> dict[str, Floats]:
    """Return what is averaged over pictures, each (n,)."""
    n, n_classes = probabilities.shape
    of_truth = probabilities[np.arange(n), labels].astype(np.float64)
    square = np.einsum("ij,ij->i", probabilities, probabilities, dtype=np.float64)
    found = {
        "accuracy": (probabilities.argmax(axis=1) == labels).astype(np.float64),
        "log_loss": -np.log(np.maximum(of_truth, _SMALLEST)),
        # sum of (p - truth)^2, without a matrix of the truth
        "brier": square - 2 * of_truth + 1,
    }
    if n_classes > _TOP:
        found["top_5_accuracy"] = (_rank(probabilities, labels) < _TOP).astype(np.float64)
    return found


def _rank(probabilities: Probabilities, labels: Labels) -> Labels:
    """Return the place of the truth, 0 is the best; of equals the lower column, as argmax does."""
    of_truth = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    ahead = (probabilities > of_truth) | ((probabilities == of_truth) & before)
    return np.asarray(ahead.sum(axis=1), np.int64)


def _resamples(n: int, seed: int) -> Iterator[Floats]:
    """Draw n of n pictures 1000 times: yield how often each was drawn, (some, n) at a time."""
    dice = np.random.default_rng(seed)
    chunk = max(1, min(_RESAMPLES, _CHUNK // n))
    for start in range(0, _RESAMPLES, chunk):
        draws = (dice.integers(0, n, n) for _ in range(min(chunk, _RESAMPLES - start)))
        yield np.array([np.bincount(drawn, minlength=n) for drawn in draws], np.float64)


def _summing(groups: Labels, n_groups: int) -> Callable[[Floats], Floats]:
    """Make a function that sums the columns of (m, n) of each group: (m, n_groups)."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)

    def sums(weights: Floats) -> Floats:
        found = np.zeros((len(weights), n_groups))
        found[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
        return found

    return sums


def _balanced(hits: Floats, support: Floats) -> Floats:
    """Return the mean recall of the classes that are there, for each row."""
    recall = hits / np.maximum(support, 1)
    return np.asarray(recall.sum(axis=1) / (support > 0).sum(axis=1))


def _macro_f1(hits: Floats, support: Floats, answers: Floats) -> Floats:
    """Return the mean F1 of the classes that are there, for each row."""
    f1 = 2 * hits / np.maximum(support + answers, 1)  # of what is not there: no hits, 0
    return np.asarray(f1.sum(axis=1) / (support > 0).sum(axis=1))


def _interval(value: float, resampled: Sequence[float] | Floats, n: int) -> Interval:
    low, high = np.percentile(resampled, [2.5, 97.5])
    # A percentile interval of a biased statistic (ECE) can miss the value itself.
    return Interval(float(value), float(min(low, value)), float(max(high, value)), n)


def bootstrap(
    function: Callable[[Labels], float], n: int, *, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """Return `function` of all indices 0..n-1, with its interval over resampled indices.

    >>> import numpy as np
    >>> right = np.arange(400) % 4 > 0
    >>> print(bootstrap(lambda i: right[i].mean(), len(right)))
    0.750 (0.708-0.790)
    """
    dice = np.random.default_rng(seed)
    values = [float(function(dice.integers(0, n, n))) for _ in range(resamples)]
    return _interval(float(function(np.arange(n))), values, n)


def top_k_accuracy(probabilities: Probabilities, labels: Labels, k: int) -> float:
    """Return how often the truth is among the `k` most probable labels, 0-1."""
    _check(probabilities, labels)
    return float((_rank(probabilities, labels) < k).mean())


def confusion_matrix(labels: Labels, predicted: Labels, n_classes: int) -> Labels:
    """Return counts, int64 (n_classes, n_classes): row is the truth, column the answer."""
    flat = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).astype(np.int64)


def reliability_bins(probabilities: Probabilities, labels: Labels) -> list[ReliabilityBin]:
    """Return the non-empty of 15 equal bins of confidence (Guo et al. 2017)."""
    place = _bins(probabilities)
    count = np.bincount(place, minlength=BINS)
    confidence = np.bincount(place, probabilities.max(axis=1), BINS)
    right = np.bincount(place, probabilities.argmax(axis=1) == labels, BINS)
    return [
        ReliabilityBin(
            k / BINS,
            (k + 1) / BINS,
            int(count[k]),
            float(confidence[k] / count[k]),
            float(right[k] / count[k]),
        )
        for k in np.flatnonzero(count).tolist()
    ]


def expected_calibration_error(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean gap between confidence and accuracy over 15 bins (Guo et al. 2017)."""
    _check(probabilities, labels)
    bins = reliability_bins(probabilities, labels)
    return sum(abs(b.accuracy - b.confidence) * b.count for b in bins) / len(labels)


def _bins(probabilities: Probabilities) -> Labels:
    place = (probabilities.max(axis=1) * BINS).astype(np.int64)
    return np.asarray(np.minimum(place, BINS - 1))


def selective_accuracy(
    probabilities: Probabilities, labels: Labels, thresholds: Sequence[float] = THRESHOLDS
) -> list[SelectivePoint]:
    """Return how many answers are at least so sure, and how often those are right.

    Intervals are Wilson's; of no answers it is 0 to 1.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    found = []
    for threshold in thresholds:
        sure = confidence >= threshold
        n = int(sure.sum())
        found.append(SelectivePoint(threshold, n, wilson_interval(int(right[sure].sum()), n)))
    return found


def class_metrics(
    labels: Labels, predicted: Labels, classes: tuple[str, ...]
) -> list[ClassMetrics]:
    """Return precision, recall and F1 of each class; intervals are Wilson's (1927).

    Wilson's, because a class often has a handful of pictures, where the bootstrap of 5 of 5
    right answers would claim certainty.
    """
    n = len(classes)
    hits = np.bincount(labels[labels == predicted], minlength=n)
    support, answers = np.bincount(labels, minlength=n), np.bincount(predicted, minlength=n)
    return [
        ClassMetrics(
            label=label,
            precision=wilson_interval(int(hits[i]), int(answers[i])),
            recall=wilson_interval(int(hits[i]), int(support[i])),
            f1=float(2 * hits[i] / max(support[i] + answers[i], 1)),
            support=int(support[i]),
        )
        for i, label in enumerate(classes)
    ]


def wilson_interval(hits: int, n: int) -> Interval:
    """Return a share with its 95 % interval (Wilson 1927); of nothing it is 0, from 0 to 1."""
    if n == 0:
        return Interval(0.0, 0.0, 1.0, 0)
    p, square = hits / n, _Z * _Z / n
    centre = (p + square / 2) / (1 + square)
    half = math.sqrt(p * (1 - p) * square + square * square / 4) / (1 + square)
    # The ends are exact by formula; rounding must not put the value outside.
    return Interval(p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0), n)
