"""Calibration: making a confidence of 0.8 right eight times in ten.

Fitted on a split of its own, on a model's scores (logits). Three methods: temperature (Guo et al.
2017, "On Calibration of Modern Neural Networks"), Platt scaling of each class (Platt 1999) and
isotonic regression of each class (Zadrozny & Elkan 2002, "Transforming classifier scores into
accurate multiclass probability estimates"). The same arithmetic stands in the artefact's graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.errors import ConfigError, ModelCorruptError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    Scores = npt.NDArray[np.float32]

__all__ = ["METHODS", "Calibration", "check_method", "fit_calibration", "softmax"]

METHODS = ("auto", "none", "temperature", "platt", "isotonic")
FLOOR = 1e-6
"""No class is ever called impossible by isotonic regression, whose steps begin at zero."""

_MANY = 1000  # below this, one parameter is all that the pictures can support
_FOLDS = 5
_NEWTON_STEPS = 100
_EPSILON = 1e-12
_SMALLEST_STEP, _CONVERGED = 1e-8, 1e-9


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
        raw = softmax(scores)
        if self.method == "platt":
            a = np.asarray(self.parameters["a"], np.float32)
            b = np.asarray(self.parameters["b"], np.float32)
            shaped = _sigmoid(a * _log(raw) + b)
        else:
            columns = [
                np.interp(raw[:, i], knots, heights)
                for i, (knots, heights) in enumerate(
                    zip(self.parameters["knots"], self.parameters["heights"], strict=True)
                )
            ]
            shaped = np.stack(columns, axis=1) if columns else raw
            shaped = shaped.astype(np.float32) + np.float32(FLOOR)
        return np.asarray(shaped / shaped.sum(axis=1, keepdims=True), np.float32)

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
                f"but got {values!r}"
            )
        return cls(str(method), parameters)


def fit_calibration(
    scores: Scores, labels: npt.NDArray[np.int64], *, method: str = "auto"
) -> Calibration:
    """Fit a calibration to scores (n, n_classes) and class indices (n,).

    ``auto`` is temperature below 1000 pictures, and above it the method with the best
    cross-validated log loss. Raises `ConfigError` for an unknown method.
    """
    check_method(method)
    if method == "auto":
        method = "temperature" if len(labels) < _MANY else _best_method(scores, labels)
    fit = {"none": _fit_none, "temperature": _fit_temperature, "platt": _fit_platt}
    return fit.get(method, _fit_isotonic)(scores, labels)


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


def _sigmoid(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x)))


def _log(p: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.log(np.maximum(p, np.float32(_EPSILON))))


def _log_loss(probabilities: Scores, labels: npt.NDArray[np.int64]) -> float:
    return float(-_log(probabilities[np.arange(len(labels)), labels]).mean())


def _best_method(scores: Scores, labels: npt.NDArray[np.int64]) -> str:
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    losses = {}
    for method in METHODS[2:]:
        held = [
            _log_loss(
                fit_calibration(scores[fold != k], labels[fold != k], method=method).apply(
                    scores[fold == k]
                ),
                labels[fold == k],
            )
            for k in range(_FOLDS)
        ]
        losses[method] = float(np.mean(held))
    return min(losses, key=losses.__getitem__)


def _fit_none(_scores: Scores, _labels: npt.NDArray[np.int64]) -> Calibration:
    return Calibration()


def _fit_temperature(scores: Scores, labels: npt.NDArray[np.int64]) -> Calibration:
    """Minimise the log loss over log T in [-5, 5] by golden section: it is convex in 1/T."""
    wide = scores.astype(np.float64)

    def loss(log_t: float) -> float:
        z = wide * np.exp(-log_t)
        z -= z.max(axis=1, keepdims=True)
        picked = z[np.arange(len(labels)), labels]
        return float((np.log(np.exp(z).sum(axis=1)) - picked).mean())

    low, high, ratio = -5.0, 5.0, (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return Calibration("temperature", {"temperature": float(np.exp((low + high) / 2))})


def _fit_platt(scores: Scores, labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit one sigmoid a class to its log probability, with Platt's softened targets."""
    x = _log(softmax(scores)).astype(np.float64)
    a, b = [], []
    for i in range(scores.shape[1]):
        hit = labels == i
        high, low = (hit.sum() + 1) / (hit.sum() + 2), 1 / ((~hit).sum() + 2)
        slope, offset = _newton(x[:, i], np.where(hit, high, low))
        a.append(slope)
        b.append(offset)
    return Calibration("platt", {"a": a, "b": b})


def _newton(x: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Fit sigmoid(a x + b) to targets by damped Newton steps; a stays non-negative."""
    theta = np.array([1.0, 0.0])
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(t: npt.NDArray[np.float64]) -> float:
        z = design @ t
        return float((np.logaddexp(0, z) - target * z).sum() + 1e-6 * ((t - [1, 0]) ** 2).sum())

    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(design @ theta)
        gradient = design.T @ (p - target) + 2e-6 * (theta - [1, 0])
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > _SMALLEST_STEP and loss(theta - size * step) > loss(theta):
            size /= 2
        theta = theta - size * step
        if np.abs(size * step).max() < _CONVERGED:
            break
    return float(max(theta[0], 0.0)), float(theta[1])


def _fit_isotonic(scores: Scores, labels: npt.NDArray[np.int64]) -> Calibration:
    """Fit one non-decreasing curve a class: pool adjacent violators, then lines between blocks.

    Lines rather than steps, so that a last-bit difference of a score cannot move a probability.
    """
    raw = softmax(scores).astype(np.float64)
    knots, heights = [], []
    for i in range(scores.shape[1]):
        x, y = _pool(raw[:, i], (labels == i).astype(np.float64))
        knots.append([0.0, *x, 1.0])
        heights.append([float(y[0]), *y, float(y[-1])])
    return Calibration("isotonic", {"knots": knots, "heights": heights})


def _pool(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """Return the centre and the height of each block of the isotonic fit of y on x."""
    order = np.argsort(x, kind="stable")
    blocks: list[list[float]] = []  # [weight, sum of y, sum of x]
    for place, hit in zip(x[order], y[order], strict=True):
        blocks.append([1.0, float(hit), float(place)])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][0] >= blocks[-1][1] * blocks[-2][0]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    centres = [min(max(block[2] / block[0], 0.01), 0.99) for block in blocks]
    merged: dict[float, list[float]] = {}
    for centre, block in zip(centres, blocks, strict=True):
        # Knots nearer than 0.01 would make lines so steep that float32 noise shows.
        key = round(centre, 2)
        seen = merged.setdefault(key, [0.0, 0.0])
        merged[key] = [seen[0] + block[0], seen[1] + block[1]]
    knots = sorted(merged)
    return knots, [merged[k][1] / merged[k][0] for k in knots]
