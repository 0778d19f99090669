"""Calibration: making a confidence of 0.8 right eight times in ten.

Fitted on a split of its own, on a model's scores (logits). Three methods: temperature (Guo et al.
2017, "On Calibration of Modern Neural Networks"), Platt scaling of each class (Platt 1999) and
isotonic regression of each class (Zadrozny & Elkan 2002, "Transforming classifier scores into
accurate multiclass probability estimates"). The same arithmetic stands in the artefact's graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.errors import (
    ConfigError,
    DatasetError,
    ExportError,
    ModelCorruptError,
    did_you_mean,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]
    Scores = npt.NDArray[np.float32]

__all__ = [
    "FLOOR",
    "LEAST_LOG",
    "METHODS",
    "STEEPEST",
    "Calibration",
    "check_method",
    "fit_calibration",
    "softmax",
]

METHODS = ("auto", "none", "temperature", "platt", "isotonic")
FLOOR = 1e-6
"""No class is ever called impossible by isotonic regression, whose steps begin at zero."""
LEAST_LOG = -27.5
"""Log probabilities below are taken for this one: float32 has no digits left there."""
STEEPEST = 30.0
"""A sigmoid's argument is kept within -30 to 30, so that no row can add up to zero."""

_MANY = 1000  # below this, one parameter is all that the pictures can support
_FOLDS = 5
_NEWTON_STEPS = 100
_SMALLEST_STEP, _CONVERGED, _RIDGE = 1e-8, 1e-9, 1e-6
_TEMPERATURE_SPREAD = 2.0
_KNOT_DIGITS = 2  # knots nearer than 0.01 make lines so steep that float32 noise shows


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted calibration: its method and parameters, as lists of plain numbers."""

    method: str = "none"
    parameters: dict[str, Any] = field(default_factory=dict)

    def apply(self, scores: Scores) -> Scores:
        """Turn scores (n, n_classes) into calibrated probabilities, float32 (n, n_classes)."""
        if self.method == "none":
            return softmax(scores)
        if self.method == "temperature":
            return softmax(scores * np.float32(1 / self.parameters["temperature"]))
        shaped = self._platt(scores) if self.method == "platt" else self._isotonic(scores)
        return np.asarray(shaped / shaped.sum(axis=1, keepdims=True), np.float32)

    def _platt(self, scores: Scores) -> Scores:
        a = np.asarray(self.parameters["a"], np.float32)
        b = np.asarray(self.parameters["b"], np.float32)
        line = (a * _log_softmax(scores) + b).clip(-np.float32(STEEPEST), np.float32(STEEPEST))
        return np.asarray(1 / (1 + np.exp(-line)), np.float32)

    def _isotonic(self, scores: Scores) -> Scores:
        raw = softmax(scores)
        base, start, length, slope = self.ramps()
        shaped = np.empty_like(raw)
        for i in range(raw.shape[1]):
            covered = (raw[:, i, None] - start[i]).clip(0, length[i])
            shaped[:, i] = (covered * slope[i]).sum(axis=1) + base[i]
        return shaped

    def ramps(self) -> tuple[Scores, Scores, Scores, Scores]:
        """Write each class's broken line as a sum of ramps, float32, for array code and graph.

        Returns the heights at zero (n_classes,), and where each ramp starts, how long it is and
        how steep, each (n_classes, n_ramps), padded with ramps of no length.
        """
        lines = list(zip(self.parameters["knots"], self.parameters["heights"], strict=True))
        shape = (len(lines), max(len(knots) for knots, _ in lines) - 1)
        start, length, slope = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for i, (knots, heights) in enumerate(lines):
            n = len(knots) - 1
            start[i, :n], length[i, :n] = knots[:-1], np.diff(knots)
            slope[i, :n] = np.diff(heights) / np.diff(knots)
        base = np.array([heights[0] + FLOOR for _, heights in lines])
        return tuple(part.astype(np.float32) for part in (base, start, length, slope))  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the model card."""
        return {"method": self.method, "parameters": self.parameters}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Read what `to_dict` wrote. Raises `ModelCorruptError`."""
        method, parameters = values.get("method"), values.get("parameters")
        if method not in METHODS[1:] or not isinstance(parameters, dict):
            raise ModelCorruptError(
                f"a calibration is a method ({', '.join(METHODS[1:])}) and its parameters, "
                f"but got {values!r:.200}"
            )
        if not _are_parameters(str(method), parameters):
            raise ModelCorruptError(
                f"the parameters of calibration {method!r} are damaged: {parameters!r:.200}"
            )
        return cls(str(method), parameters)


def fit_calibration(scores: Scores, labels: Labels, *, method: str = "auto") -> Calibration:
    """Fit a calibration to scores (n, n_classes) and class indices (n,).

    ``auto`` is temperature below 1000 pictures. Above, it is the simplest method whose
    cross-validated log loss is within one standard error of the best one's. Raises `ConfigError`
    for an unknown method, `DatasetError` without pictures, `ExportError` for scores that are no
    numbers.
    """
    check_method(method)
    if method == "none":
        return Calibration()
    if len(labels) == 0:
        raise DatasetError(
            "calibration needs at least one picture, but its split is empty; add pictures or "
            "choose calibration 'none'"
        )
    if not np.isfinite(scores).all():
        raise ExportError(
            f"a model's scores must be finite, but {int((~np.isfinite(scores)).sum())} of "
            f"{scores.size} are not: the training diverged; try a smaller step or other options"
        )
    if method == "auto":
        method = "temperature" if len(labels) < _MANY else _best_method(scores, labels)
    return _FITS[method](scores, labels)


def check_method(method: str) -> None:
    """Raise `ConfigError` unless `fit_calibration` knows the method."""
    if method not in METHODS:
        raise ConfigError(
            f"calibration must be one of {', '.join(METHODS)}, but got {method!r}."
            + did_you_mean(method, METHODS)
        )


def softmax(scores: Scores) -> Scores:
    """Return softmax over the last axis, float32."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def _log_softmax(scores: Scores) -> Scores:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return np.asarray((shifted - total).clip(min=np.float32(LEAST_LOG)), np.float32)


def _are_parameters(method: str, parameters: dict[str, Any]) -> bool:
    """Say whether these are what a method's fit writes: numbers in range, lists that match."""
    try:
        if method == "temperature":
            return 0 < float(parameters["temperature"]) < math.inf
        if method == "platt":
            a, b = (np.asarray(parameters[key], np.float64) for key in ("a", "b"))
            return a.ndim == 1 and a.shape == b.shape and bool(np.isfinite([a, b]).all())
        if method == "isotonic":
            lines = list(zip(parameters["knots"], parameters["heights"], strict=True))
            return all(_is_rising_line(np.array(k, float), np.array(h, float)) for k, h in lines)
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _is_rising_line(knots: Floats, heights: Floats) -> bool:
    return (
        knots.shape == heights.shape
        and knots.ndim == 1
        and len(knots) > 1
        and bool((np.diff(knots) > 0).all() and (np.diff(heights) >= 0).all())
        and bool((heights >= 0).all() and np.isfinite(heights).all() and np.isfinite(knots).all())
    )


def _best_method(scores: Scores, labels: Labels) -> str:
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    losses = {method: np.empty(len(labels)) for method in METHODS[2:]}  # the simplest first
    for method, loss in losses.items():
        for k in range(_FOLDS):
            fitted = _FITS[method](scores[fold != k], labels[fold != k])
            held = fitted.apply(scores[fold == k]).astype(np.float64)
            loss[fold == k] = -np.log(held[np.arange(len(held)), labels[fold == k]] + 1e-12)
    best = min(losses.values(), key=np.mean)

    def is_as_good(loss: Floats) -> bool:
        worse = loss - best
        return bool(worse.mean() <= worse.std() / len(labels) ** 0.5)

    return next(method for method, loss in losses.items() if is_as_good(loss))


def _fit_temperature(scores: Scores, labels: Labels) -> Calibration:
    """Minimise the log loss over log T in [-5, 5] by golden section: it is convex in 1/T.

    A normal prior on log T, as weak as a part of one picture, keeps a model that is right on all
    of a few pictures from being declared certain.
    """
    wide = scores.astype(np.float64)

    def loss(log_t: float) -> float:
        z = wide * np.exp(-log_t)
        z -= z.max(axis=1, keepdims=True)
        picked = z[np.arange(len(labels)), labels]
        prior = 0.5 * (log_t / _TEMPERATURE_SPREAD) ** 2 / len(labels)
        return float((np.log(np.exp(z).sum(axis=1)) - picked).mean()) + prior

    low, high, ratio = -5.0, 5.0, (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return Calibration("temperature", {"temperature": float(np.exp((low + high) / 2))})


def _fit_platt(scores: Scores, labels: Labels) -> Calibration:
    """Fit one sigmoid a class to its log probability, with Platt's softened targets."""
    x = _log_softmax(scores).astype(np.float64)
    a, b = [], []
    for i in range(scores.shape[1]):
        hit = labels == i
        high, low = (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2)
        slope, offset = _newton(x[:, i], np.where(hit, high, low))
        a.append(slope)
        b.append(offset)
    return Calibration("platt", {"a": a, "b": b})


def _newton(x: Floats, target: Floats) -> tuple[float, float]:
    """Fit sigmoid(a x + b) to targets by damped Newton steps; a is never negative."""
    start = np.array([1.0, 0.0])
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(t: Floats) -> float:
        z = design @ t
        ridge = 0.5 * _RIDGE * float(((t - start) ** 2).sum())
        return float((np.logaddexp(0, z) - target * z).sum()) + ridge

    theta = start
    for _ in range(_NEWTON_STEPS):
        p = 0.5 * (1 + np.tanh(0.5 * (design @ theta)))  # a sigmoid that cannot overflow
        gradient = design.T @ (p - target) + _RIDGE * (theta - start)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > _SMALLEST_STEP and loss(theta - size * step) > loss(theta):
            size /= 2
        theta = theta - size * step
        if np.abs(size * step).max() < _CONVERGED:
            break
    if theta[0] < 0:
        # A higher score must never mean a lower probability: what is left is the class's share.
        share = float(target.mean())
        return 0.0, math.log(share / (1 - share))
    return float(theta[0]), float(theta[1])


def _fit_isotonic(scores: Scores, labels: Labels) -> Calibration:
    """Fit one non-decreasing curve a class: pool adjacent violators, then lines between blocks.

    Lines rather than steps, so that a last-bit difference of a score cannot move a probability.
    """
    raw = softmax(scores).astype(np.float64)
    knots, heights = [], []
    for i in range(scores.shape[1]):
        x, y = _line(_pool(raw[:, i], (labels == i).astype(np.float64)))
        knots.append([0.0, *x, 1.0])
        heights.append([y[0], *y, y[-1]])
    return Calibration("isotonic", {"knots": knots, "heights": heights})


def _pool(x: Floats, y: Floats) -> Floats:
    """Fit y on x, never falling: one row [weight, sum of y, sum of x] a block of one height."""
    blocks: list[list[float]] = []
    for run in _runs(x, y):
        blocks.append(run)
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return np.array(blocks)


def _line(blocks: Floats) -> tuple[list[float], list[float]]:
    """Return where the blocks' centres are, no two nearer than 0.01, and how high."""
    weight, hits, places = blocks.T
    key = np.round((places / weight).clip(0.01, 0.99), _KNOT_DIGITS)
    knots, group = np.unique(key, return_inverse=True)
    merged = np.bincount(group, hits) / np.bincount(group, weight)
    # Rounding the quotients may break the order by a last bit.
    return knots.tolist(), np.maximum.accumulate(merged).tolist()


def _runs(x: Floats, y: Floats) -> list[list[float]]:
    """Return [weight, sum of y, sum of x] of equal x, and of neighbours with the same mean of y.

    The fit would pool them anyway; so few are left that the loop over them is short.
    """
    values, group, weight = np.unique(x, return_inverse=True, return_counts=True)
    hits = np.bincount(group, y)
    mean = hits / weight
    first = np.flatnonzero(np.r_[True, mean[1:] != mean[:-1]])
    sums = (np.add.reduceat(part, first) for part in (weight, hits, values * weight))
    runs: list[list[float]] = np.stack([part.astype(np.float64) for part in sums], axis=1).tolist()
    return runs


_FITS = {"temperature": _fit_temperature, "platt": _fit_platt, "isotonic": _fit_isotonic}
