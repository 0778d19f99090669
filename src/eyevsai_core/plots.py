"""Plots for notebooks, with matplotlib: ``pip install 'eyevsai-core[plots]'``.

Each function draws on an axes that it is given, or on a new one, and returns it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from eyevsai_core.errors import MissingDependencyError
from eyevsai_core.images import as_image
from eyevsai_core.metrics import reliability_bins

if TYPE_CHECKING:
    from eyevsai_core.evaluation import Evaluation
    from eyevsai_core.explain import Explanation
    from eyevsai_core.images import ImageLike
    from eyevsai_core.learning_rate import LearningRateCurve
    from eyevsai_core.prediction import Prediction

__all__ = [
    "learning_rate_png",
    "plot_confusion",
    "plot_explanation",
    "plot_learning_rate",
    "plot_prediction",
    "plot_reliability",
    "require_plots",
]

_ANNOTATED = 20  # up to this many classes each cell carries its number
_NAMED = 40  # names that an axis has room for


def plot_confusion(evaluation: Evaluation, *, axes: Any = None) -> Any:
    """Draw the confusion matrix, each row as shares of the true class."""
    axes = _axes(axes)
    counts = evaluation.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(len(evaluation.classes))
    named = slice(None, None, -(-len(places) // _NAMED))
    axes.set_xticks(places[named], evaluation.classes[named], rotation=60, ha="right")
    axes.set_yticks(places[named], evaluation.classes[named])
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    if len(places) <= _ANNOTATED:
        for i, j in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[i, j] > 0.5 else "black"  # noqa: PLR2004  the map's middle
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=8)
    return axes


def plot_reliability(evaluation: Evaluation, *, axes: Any = None) -> Any:
    """Draw accuracy against confidence in 15 bins, with the diagonal of perfect calibration."""
    axes = _axes(axes)
    bins = reliability_bins(evaluation.probabilities, evaluation.labels)
    most = max((b.count for b in bins), default=1)
    for b in bins:
        strength = 0.3 + 0.7 * b.count / most
        axes.bar(b.low, b.accuracy, b.high - b.low, align="edge", color="#2c67b2", alpha=strength)
    axes.plot([0, 1], [0, 1], "--", color="grey")
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o", color="#d9600a")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    return axes


def plot_prediction(image: ImageLike, prediction: Prediction, *, top: int = 5) -> Any:
    """Draw a picture beside the bars of its best labels; returns the figure."""
    figure, (left, right) = _pyplot().subplots(1, 2, figsize=(8, 3.2))
    left.imshow(as_image(image))
    left.set_axis_off()
    best = prediction.top(top)[::-1]
    right.barh([label for label, _ in best], [p for _, p in best], color="#2c67b2")
    right.set(xlim=(0, 1), xlabel="probability")
    figure.tight_layout()
    return figure


def plot_explanation(explanation: Explanation, *, axes: Any = None) -> Any:
    """Draw the heat map over its picture: orange speaks for the label, blue against it."""
    axes = _axes(axes)
    axes.imshow(explanation.picture())
    axes.set_title(f"{explanation.label} {explanation.probability:.0%}")
    axes.set_axis_off()
    return axes


def plot_learning_rate(curve: LearningRateCurve, *, axes: Any = None) -> Any:
    """Draw the loss over the logarithm of the learning rate, and the suggestion."""
    axes = _axes(axes)
    axes.plot(curve.rates, curve.losses, color="#2c67b2")
    axes.axvline(curve.suggestion, linestyle="--", color="#d9600a", label=f"{curve.suggestion:g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
    axes.legend()
    return axes


def learning_rate_png(curve: LearningRateCurve) -> bytes:
    """Return `plot_learning_rate` as a PNG file, drawn without a screen."""
    require_plots()
    from matplotlib.figure import Figure  # noqa: PLC0415  an extra

    figure = Figure(figsize=(7, 4), layout="constrained")
    plot_learning_rate(curve, axes=figure.subplots())
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def require_plots() -> None:
    """Raise `MissingDependencyError` unless matplotlib is installed."""
    _pyplot()


def _axes(axes: Any) -> Any:
    return axes if axes is not None else _pyplot().subplots()[1]


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415  an extra
    except ImportError as error:
        raise MissingDependencyError(
            "plots need matplotlib, which is not installed; run: pip install 'eyevsai-core[plots]'"
        ) from error
    return plt
